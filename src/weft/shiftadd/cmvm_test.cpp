// SPDX-License-Identifier: Apache-2.0
// Real and random matrices against the adder counts that da4ml reaches at the same depth.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/paths/paths.h"
#include "weft/shiftadd/solver.h"
#include "weft/support/arrays.h"
#include "weft/support/files.h"
#include "weft/support/json.h"

namespace weft::shiftadd {
namespace {

const std::filesystem::path kFolder = test::data_dir() / "cmvm";

struct Baseline {
  double adders = 0;
  double depth = 0;
};

/// Case name -> result of da4ml at minimal depth.
std::map<std::string, Baseline> read_baseline() {
  std::map<std::string, Baseline> rows;
  std::ifstream in(kFolder / "da4ml_baseline.csv");
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields;
    std::stringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) fields.push_back(cell);
    if (fields.size() >= 9 && fields[5] == "dc0") rows[fields[0]] = {std::stod(fields[6]), std::stod(fields[8])};
  }
  return rows;
}

Problem read_case(const support::Json& entry, Context& ctx) {
  Problem problem;
  auto arrays = support::read_arrays(kFolder / (entry.at("name").get<std::string>() + ".npy"), ctx);
  if (!arrays || arrays->size() != 1) return problem;
  const support::Array& array = arrays->begin()->second;
  problem.n_in = array.shape.at(0);
  problem.n_out = array.shape.at(1);
  const auto append = [&](const auto& values) {
    if constexpr (std::is_arithmetic_v<typename std::decay_t<decltype(values)>::value_type>) {
      for (const auto value : values) problem.matrix.push_back(static_cast<std::int64_t>(value));
    }
  };
  std::visit(append, array.data);
  const fixed::Range common{entry.at("lo").get<std::int64_t>(), entry.at("hi").get<std::int64_t>(), 0};
  problem.inputs.assign(static_cast<std::size_t>(problem.n_in), common);
  if (entry.contains("inputs")) {
    for (std::size_t i = 0; i < problem.inputs.size(); ++i) {
      const auto& spec = entry.at("inputs").at(i);
      const auto step = spec.at(2).get<std::int64_t>();
      problem.inputs[i] = {spec.at(0).get<std::int64_t>(), spec.at(1).get<std::int64_t>(), fixed::trailing_zeros(step)};
    }
  }
  return problem;
}

TEST(Cmvm, AtOrBelowDa4mlAtEqualDepth) {
  if (!std::filesystem::exists(kFolder / "cases.json")) GTEST_SKIP() << "the matrices are not in " << kFolder;
  diag::Engine engine;
  Context ctx{engine};
  const auto text = support::read_file(kFolder / "cases.json", ctx);
  ASSERT_TRUE(text.ok());
  const auto cases = support::parse_json(*text, "cases.json", ctx);
  ASSERT_TRUE(cases.ok());
  const auto baseline = read_baseline();
  double log_sum = 0.0;
  int count = 0;
  fmt::print("{:14} {:>8} {:>8} {:>7} {:>6} {:>6} {:>10} {:>5}\n", "case", "adders", "da4ml", "ratio", "depth", "da4ml",
             "lut", "-out");
  for (const auto& entry : *cases) {
    const auto name = entry.at("name").get<std::string>();
    const Problem problem = read_case(entry, ctx);
    ASSERT_GT(problem.n_in, 0) << name;
    const auto solution = solve(problem, {}, unit_cost(), ctx);
    ASSERT_TRUE(solution.ok()) << name;
    ASSERT_EQ(check(problem, *solution), "") << name;
    ASSERT_TRUE(baseline.count(name)) << name;
    const Baseline& theirs = baseline.at(name);
    EXPECT_LE(solution->depth, theirs.depth) << name;
    const double ratio = static_cast<double>(solution->adders) / theirs.adders;
    const auto negated =
        std::count_if(solution->outputs.begin(), solution->outputs.end(), [](const Term& t) { return t.negate; });
    fmt::print("{:14} {:8} {:8} {:7.3f} {:6} {:6} {:10.0f} {:5}\n", name, solution->adders, theirs.adders, ratio,
               solution->depth, theirs.depth, solution->lut, negated);
    log_sum += std::log(ratio);
    ++count;
  }
  const double mean = std::exp(log_sum / count);
  fmt::print("geometric mean of adders against da4ml at minimal depth, {} cases: {:.4f}\n", count, mean);
  EXPECT_LE(mean, 1.0);
}

}  // namespace
}  // namespace weft::shiftadd
