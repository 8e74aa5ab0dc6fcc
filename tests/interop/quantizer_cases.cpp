// SPDX-License-Identifier: Apache-2.0
// Compares weft::quantizers with cases that another implementation has evaluated: JSON lines as quantizer_cases.py
// writes them. A result is equal, or it is what our function gives with its kernels (exp, log, sums ...) moved by up to
// kKernelUlps, or it is wrong: no other tolerance exists. Prints wrong cases and a summary per family, with --json as
// one object; answers 1 when anything is wrong.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
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
  int wrong_cases = 0;
  std::uint64_t values = 0;
  /// Equal only with the kernels moved, and how far at most.
  std::uint64_t moved = 0;
  int worst_move_ulps = 0;
  /// Of the moved ones: further apart than kFlipUlps, that is, on the other side of a rounding boundary.
  std::uint64_t flips = 0;
  std::uint64_t wrong = 0;
};

/// Values that far apart are different numbers of a quantizer's set and not the noise of a kernel.
constexpr std::int64_t kFlipUlps = 64;

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

/// Either sign of zero is the same number, and so are two NaNs.
bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

std::int64_t ulps_between(float a, float b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return std::int64_t{1} << 40;
  const auto order = [](float v) {
    const auto bits = std::bit_cast<std::int32_t>(v);
    return bits < 0 ? -static_cast<std::int64_t>(bits & 0x7fffffff) : static_cast<std::int64_t>(bits);
  };
  return std::abs(order(a) - order(b));
}

struct Case {
  const Json& record;
  const std::vector<float>& x;
};

/// The function on the whole case; nothing when it refuses.
std::optional<std::vector<float>> evaluate(const quantizers::Function& function, const Case& c, weft::Context& ctx) {
  if (c.record.at("kind") == "quantize") {
    const auto result = function.quantize({c.record.at("shape").get<weft::Shape>(), c.x}, {}, ctx);
    if (!result.ok()) return std::nullopt;
    return result->values.data;
  }
  std::vector<float> y(c.x.size());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = function.apply(c.x[i], i % function.channels());
  return y;
}

bool run_case(const Case& c, weft::Context& ctx, std::map<std::string, Summary>& summaries) {
  const auto family = c.record.at("family").get<std::string>();
  quantizers::Spec spec{family, {}};
  for (const auto& [key, value] : c.record.at("parameters").items()) spec.parameters[key] = attribute_of(value);
  const std::vector<float> expected = floats_of(c.record.at("y"));
  Summary& summary = summaries[family];
  ++summary.cases;
  summary.values += c.x.size();
  const auto function = quantizers::make(spec, {}, ctx);
  const auto got = function.ok() ? evaluate(**function, c, ctx) : std::nullopt;
  if (!got || got->size() != expected.size()) {
    ++summary.wrong_cases;
    summary.wrong += expected.size();
    fmt::print(stderr, "WRONG {} {}: refused\n", family, c.record.at("parameters").dump());
    return false;
  }
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!same((*got)[i], expected[i])) open.push_back(i);
  weft::diag::Engine quiet;  // what there is to say was said for the function itself
  weft::Context silent{.diag = quiet};
  const bool is_quantizer = quantizers::find_family(family)->is_quantizer;
  std::vector<float> lowest = *got;
  std::vector<float> highest = *got;
  for (int ulps = 1; ulps <= quantizers::kKernelUlps && !open.empty(); ++ulps) {
    for (const int direction : {ulps, -ulps}) {
      const auto moved = (*function)->with_kernels_moved(direction);
      const auto other = moved ? evaluate(*moved, c, silent) : std::nullopt;
      if (!other) continue;
      std::erase_if(open, [&](std::size_t i) {
        lowest[i] = std::min(lowest[i], (*other)[i]);
        highest[i] = std::max(highest[i], (*other)[i]);
        const bool between = !is_quantizer && lowest[i] <= expected[i] && expected[i] <= highest[i];
        if (!between && !same((*other)[i], expected[i])) return false;
        ++summary.moved;
        summary.flips += is_quantizer && ulps_between((*got)[i], expected[i]) > kFlipUlps ? 1 : 0;
        summary.worst_move_ulps = std::max(summary.worst_move_ulps, ulps);
        return true;
      });
    }
  }
  if (open.empty()) return true;
  ++summary.wrong_cases;
  summary.wrong += open.size();
  const std::size_t i = open.front();
  fmt::print(stderr, "WRONG {} {}: {} of {} values, first x = {:.9g} ({:a}) gives {:.9g}, expected {:.9g}\n", family,
             c.record.at("parameters").dump(), open.size(), c.x.size(), c.x[i], c.x[i], (*got)[i], expected[i]);
  return false;
}

void print(const std::map<std::string, Summary>& summaries, bool as_json) {
  Json all = Json::object();
  for (const auto& [family, s] : summaries) {
    const std::uint64_t equal = s.values - s.moved - s.wrong;
    if (as_json)
      all[family] = {
          {"cases", s.cases}, {"wrong_cases", s.wrong_cases},         {"values", s.values}, {"equal", equal},
          {"moved", s.moved}, {"worst_move_ulps", s.worst_move_ulps}, {"flips", s.flips},   {"wrong", s.wrong}};
    else
      fmt::print(
          "{:20} {:5} cases {:9} values {:9} equal {:6} within {:2} ulps of a kernel ({} of them flips) {} wrong\n",
          family, s.cases, s.values, equal, s.moved, s.worst_move_ulps, s.flips, s.wrong);
  }
  if (as_json) fmt::print("{}\n", all.dump());
}

}  // namespace

int main(int argc, char** argv) {
  const bool as_json = argc == 3 && std::string(argv[1]) == "--json";
  if (argc != 2 && !as_json) {
    fmt::print(stderr, "usage: weft_quantizer_cases [--json] CASES.jsonl\n");
    return 2;
  }
  const std::string path = argv[argc - 1];
  std::ifstream file(path);
  std::map<std::string, Summary> summaries;
  std::map<std::string, std::vector<float>> points;
  bool good = static_cast<bool>(file);
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    weft::diag::Engine engine;
    weft::Context ctx{.diag = engine};
    const auto record = weft::support::parse_json(line, path, ctx);
    if (record.ok() && record->contains("points")) {
      // Points that many cases share, by name.
      points[record->at("points").get<std::string>()] = floats_of(record->at("x"));
      continue;
    }
    ++cases;
    if (record.ok()) {
      const Json& x = record->at("x");
      const std::vector<float> own = x.is_string() ? std::vector<float>{} : floats_of(x);
      good = run_case({*record, x.is_string() ? points.at(x.get<std::string>()) : own}, ctx, summaries) && good;
    }
    for (const auto& diagnostic : engine.all()) {
      if (diagnostic.severity != weft::diag::Severity::Error) continue;
      good = false;
      fmt::print(stderr, "{}\n", weft::diag::to_text(diagnostic));
    }
  }
  print(summaries, as_json);
  if (!as_json) fmt::print("{} cases: {}\n", cases, good && cases > 0 ? "good" : "DIFFERENCES");
  return good && cases > 0 ? 0 : 1;
}
