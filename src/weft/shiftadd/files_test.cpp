// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "weft/support/arrays.h"
#include "weft/support/files.h"

namespace weft::shiftadd {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "weft_shiftadd_XXXXXX";  // tests run side by side
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& content) {
    EXPECT_TRUE(support::write_file(folder_ / name, content, ctx_).ok());
    return folder_ / name;
  }
  Kind kind_of_table(const std::string& name, const std::string& content) {
    EXPECT_FALSE(read_integer_table(write(name, content), ctx_).ok()) << content;
    return engine_.all().empty() ? Kind::Info : engine_.all().back().kind;
  }
  Kind kind_of_model(const std::string& content) {
    EXPECT_FALSE(read_cost_model(write("model.json", content), ctx_).ok()) << content;
    return engine_.all().empty() ? Kind::Info : engine_.all().back().kind;
  }

  diag::Engine engine_;
  Context ctx_{engine_};
  std::filesystem::path folder_;
};

TEST_F(Files, TheSameMatrixFromThreeFormats) {
  const support::Array array{{2, 3}, std::vector<std::int64_t>{1, -2, 3, 4, 0, 6}, "i8"};
  for (const auto& path : {write("m.npy", support::format_npy(array)), write("m.json", "[[1, -2, 3], [4, 0.0, 6]]"),
                           write("m.csv", "1,-2,3\n4,0,6\n")}) {
    const auto table = read_integer_table(path, ctx_);
    ASSERT_TRUE(table.ok()) << path;
    EXPECT_EQ(table->rows, 2);
    EXPECT_EQ(table->columns, 3);
    EXPECT_EQ(table->values, (std::vector<std::int64_t>{1, -2, 3, 4, 0, 6}));
  }
}

TEST_F(Files, BadMatricesAreReported) {
  EXPECT_EQ(kind_of_table("a.json", "[[1, 0.5]]"), Kind::ArrayMalformed);
  EXPECT_NE(engine_.all().back().message.find("row 1, column 2"), std::string::npos);
  EXPECT_EQ(kind_of_table("a.json", "[[1], [2, 3]]"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.json", "[1, 2]"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.json", "{}"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.json", "[[\"1\"]]"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.json", "[[18446744073709551615]]"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.json", "[[1e300]]"), Kind::ArrayMalformed);
  EXPECT_EQ(kind_of_table("a.csv", "1,2\n3,nan\n"), Kind::ArrayMalformed);
  const support::Array cube{{1, 1, 1}, std::vector<std::int64_t>{1}, "i8"};
  EXPECT_EQ(kind_of_table("a.npy", support::format_npy(cube)), Kind::ArrayMalformed);
  EXPECT_EQ(read_integer_table(folder_ / "none.npy", ctx_).ok(), false);
  EXPECT_EQ(engine_.all().back().kind, Kind::FileUnreadable);
}

TEST_F(Files, CostModelsSayWhatTheySay) {
  const auto model =
      read_cost_model(write("model.json", R"({"two": {"delay": 2, "delay_per_bit": 0.5, "growth_is_free": true},
                              "three": {"lut_per_eight_bits": 1, "delay": 3}})"),
                      ctx_);
  ASSERT_TRUE(model.ok());
  const AdderShape shape{.width_bits = 13, .free_bits = 2, .growth_bits = 1};
  EXPECT_EQ(model->adder_lut(shape), 10.0);
  EXPECT_EQ(model->adder_delay_ps(shape), 6.5);
  EXPECT_EQ(model->ternary_lut(shape), 13.0);
  EXPECT_EQ(model->ternary_delay_ps(shape), 3.0);
  EXPECT_EQ(model->adder_delay_ps({.width_bits = 5, .free_bits = 5}), 0.0);
}

TEST_F(Files, ACostModelMayCountAdders) {
  const auto model = read_cost_model(write("count.json", R"({"two": {"lut_per_adder": 1, "lut_per_bit": 0}})"), ctx_);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->adder_lut({.width_bits = 13, .free_bits = 2}), 1.0);
  EXPECT_EQ(model->adder_lut({.width_bits = 5, .free_bits = 5}), 0.0);  // no adder, two operands side by side
}

TEST_F(Files, BadCostModelsAreReported) {
  EXPECT_EQ(kind_of_model("[]"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model("{}"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": 1})"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": {"delay": 0}})"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": {"delay": -1}})"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": {"delay": "1"}})"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": {"growth_is_free": 1}})"), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of_model(R"({"two": {"speed": 1}})"), Kind::ConfigUnknownKey);
  EXPECT_EQ(kind_of_model(R"({"two": {}, "four": {}})"), Kind::ConfigUnknownKey);
}

TEST_F(Files, TheWrittenGraphComputesTheMatrix) {
  Problem problem{.n_in = 3, .n_out = 2, .matrix = {3, 1, -5, 0, 7, -1}, .inputs{{-8, 7, 0}, {0, 3, 0}, {-1, 1, 0}}};
  problem.bias = {11, 0};
  const auto solution = solve(problem, {}, unit_cost(), ctx_);
  ASSERT_TRUE(solution.ok());
  const support::Json graph = to_json(*solution);
  const std::vector<std::int64_t> x = {-8, 3, 1};
  std::vector<std::int64_t> values;
  const auto value_of = [&](const support::Json& term) {
    const std::int64_t value = values.at(term.at("node").get<std::size_t>()) << term.at("shift").get<int>();
    return term.at("negate").get<bool>() ? -value : value;
  };
  for (const auto& node : graph.at("nodes")) {
    std::int64_t value = 0;
    if (node.contains("input")) value = x.at(node.at("input").get<std::size_t>());
    if (node.contains("constant")) value = node.at("constant").get<std::int64_t>();
    if (node.contains("sum")) {
      for (const auto& term : node.at("sum")) value += value_of(term);
    }
    EXPECT_LE(node.at("range").at(0).get<std::int64_t>(), value);
    EXPECT_GE(node.at("range").at(1).get<std::int64_t>(), value);
    values.push_back(value);
  }
  EXPECT_EQ(value_of(graph.at("outputs").at(0)), -24 - 15 + 7 + 11);
  EXPECT_EQ(value_of(graph.at("outputs").at(1)), -8 - 1);
}

}  // namespace
}  // namespace weft::shiftadd
