// SPDX-License-Identifier: Apache-2.0
// Compares weft::quantizers with cases that another implementation has evaluated: JSON lines as qkeras_quantizers.py
// writes them. Prints one line per differing case and a summary per family; answers 1 when a case differs more than it
// allows.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <string>

#include "weft/quantizers/quantizer.h"
#include "weft/support/json.h"

namespace {

using weft::support::Json;
namespace quantizers = weft::quantizers;

struct Summary {
  int cases = 0;
  int bad_cases = 0;
  long values = 0;
  long different = 0;
  long worst_ulps = 0;
};

weft::Attribute attribute_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  std::vector<double> list;
  for (const Json& v : value) list.push_back(v.get<double>());
  return list;
}

std::vector<float> floats_of(const Json& value) {
  std::vector<float> result;
  for (const Json& v : value) result.push_back(std::bit_cast<float>(v.get<std::uint32_t>()));
  return result;
}

/// Steps between two floats; equal numbers of either sign of zero and two NaNs are 0 apart.
long ulps_between(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  if (!std::isfinite(a) || !std::isfinite(b)) return 1L << 40;
  const auto order = [](float v) {
    const auto bits = std::bit_cast<std::int32_t>(v);
    return bits < 0 ? -static_cast<long>(bits & 0x7fffffff) : static_cast<long>(bits);
  };
  return std::labs(order(a) - order(b));
}

bool run_case(const Json& record, weft::Context& ctx, std::map<std::string, Summary>& summaries) {
  const auto family = record.at("family").get<std::string>();
  quantizers::Spec spec{family, {}};
  for (const auto& [key, value] : record.at("parameters").items()) spec.parameters[key] = attribute_of(value);
  const std::vector<float> x = floats_of(record.at("x"));
  const std::vector<float> expected = floats_of(record.at("y"));
  const auto function = quantizers::make(spec, {}, ctx);
  if (!function.ok()) return false;
  std::vector<float> got;
  if (record.at("kind") == "quantize") {
    const auto result = (*function)->quantize({record.at("shape").get<weft::Shape>(), x}, {}, ctx);
    if (!result.ok()) return false;
    got = result->values.data;
  } else {
    for (std::size_t i = 0; i < x.size(); ++i) got.push_back((*function)->apply(x[i], i % (*function)->channels()));
  }

  Summary& summary = summaries[family];
  const long allowed_ulps = record.at("ulps").get<long>();
  const double allowed_difference = record.at("absolute").get<double>();
  long flips = 0;
  std::size_t first = x.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long ulps = ulps_between(got[i], expected[i]);
    if (ulps != 0) ++summary.different;
    if (ulps <= allowed_ulps) {
      summary.worst_ulps = std::max(summary.worst_ulps, ulps);
      continue;
    }
    if (std::fabs(got[i] - expected[i]) <= allowed_difference) continue;
    if (flips++ == 0) first = i;
  }
  ++summary.cases;
  summary.values += static_cast<long>(x.size());
  if (flips == 0) return true;
  const bool allowed = flips <= record.at("flips").get<long>();
  if (!allowed) ++summary.bad_cases;
  fmt::print("{} {} {}: {} of {} differ; x = {:.9g} ({:a}) gives {:.9g}, expected {:.9g}\n",
             allowed ? "note" : "DIFFERS", family, record.at("parameters").dump(), flips, x.size(), x[first], x[first],
             got[first], expected[first]);
  return allowed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: weft_quantizer_cases CASES.jsonl\n");
    return 2;
  }
  std::ifstream file(argv[1]);
  std::map<std::string, Summary> summaries;
  bool good = static_cast<bool>(file);
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    weft::diag::Engine engine;
    weft::Context ctx{.diag = engine};
    const auto record = weft::support::parse_json(line, argv[1], ctx);
    good = record.ok() && run_case(*record, ctx, summaries) && good;
    for (const auto& diagnostic : engine.all()) {
      if (diagnostic.severity == weft::diag::Severity::Error) fmt::print("{}\n", weft::diag::to_text(diagnostic));
    }
  }
  for (const auto& [family, s] : summaries) {
    fmt::print("{:20} {:4} cases {:8} values {:6} not identical, {:3} ulps at most within tolerance, {} bad cases\n",
               family, s.cases, s.values, s.different, s.worst_ulps, s.bad_cases);
  }
  fmt::print("{} cases: {}\n", cases, good && cases > 0 ? "good" : "DIFFERENCES");
  return good && cases > 0 ? 0 : 1;
}
