// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/files.h"

#include <fmt/format.h>

#include <cmath>

#include "weft/support/arrays.h"
#include "weft/support/files.h"

namespace weft::shiftadd {
namespace {

using support::Json;

class TableReader {
 public:
  TableReader(std::string name, Context& ctx) : name_(std::move(name)), ctx_(ctx) {}

  Result<IntegerTable> from_json(const std::string& text) {
    WEFT_TRY(const Json json, support::parse_json(text, name_, ctx_));
    if (!json.is_array()) return malformed("a JSON matrix is a list of rows");
    IntegerTable table;
    table.rows = static_cast<std::int64_t>(json.size());
    for (const Json& row : json) {
      if (!row.is_array()) return malformed("a JSON matrix is a list of rows");
      if (&row == &json.front()) table.columns = static_cast<std::int64_t>(row.size());
      if (static_cast<std::int64_t>(row.size()) != table.columns) return malformed("the rows differ in length");
      for (const Json& cell : row) {
        const bool is_integer =
            cell.is_number_integer() && !(cell.is_number_unsigned() && cell.get<std::uint64_t>() > kLargest);
        if (!is_integer && !cell.is_number_float()) return bad_cell(table, cell.dump());
        if (is_integer) {
          table.values.push_back(cell.get<std::int64_t>());
        } else if (!push(table, cell.get<double>())) {
          return diag::failure;
        }
      }
    }
    return table;
  }

  Result<IntegerTable> from_array(const support::Array& array) {
    if (array.shape.empty() || array.shape.size() > 2)
      return malformed(fmt::format("a matrix has two dimensions, not {}", array.shape.size()));
    IntegerTable table;
    table.rows = array.shape.size() == 1 ? 1 : array.shape[0];
    table.columns = array.shape.back();
    table.values.reserve(static_cast<std::size_t>(array.size()));
    if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&array.data)) {
      table.values = *integers;
      return table;
    }
    const auto push_all = [&](const auto& values) {
      for (const auto value : values) {
        if (!push(table, static_cast<double>(value))) return false;
      }
      return true;
    };
    if (const auto* floats = std::get_if<std::vector<float>>(&array.data)) {
      if (!push_all(*floats)) return diag::failure;
    } else if (const auto* doubles = std::get_if<std::vector<double>>(&array.data)) {
      if (!push_all(*doubles)) return diag::failure;
    } else {
      return malformed("the matrix holds text");
    }
    return table;
  }

 private:
  static constexpr std::uint64_t kLargest = 0x7fffffffffffffffULL;

  diag::Failure malformed(std::string message) const {
    return ctx_.fail(Kind::ArrayMalformed, {.file = name_}, std::move(message));
  }
  diag::Failure bad_cell(const IntegerTable& table, const std::string& what) const {
    const auto at = static_cast<std::int64_t>(table.values.size());
    return malformed(fmt::format("row {}, column {} holds {}, which is no whole number; scale the matrix to integers",
                                 at / std::max<std::int64_t>(1, table.columns) + 1,
                                 at % std::max<std::int64_t>(1, table.columns) + 1, what));
  }
  bool push(IntegerTable& table, double value) const {
    // Beyond 2^53 a double cannot say which integer is meant.
    if (!(std::fabs(value) <= 0x1.0p53) || value != std::floor(value)) {
      bad_cell(table, fmt::format("{}", value));
      return false;
    }
    table.values.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  std::string name_;
  Context& ctx_;
};

struct Figures {
  double lut_per_adder = 0.0;
  double lut_per_bit = 1.0;
  double lut_per_eight_bits = 0.0;
  double delay = 1.0;
  double delay_per_bit = 0.0;
  bool growth_is_free = false;

  [[nodiscard]] double bits(const AdderShape& shape) const {
    return std::max(0, shape.width_bits - shape.free_bits - (growth_is_free ? shape.growth_bits : 0));
  }
  [[nodiscard]] double lut(const AdderShape& shape) const {
    const double n = bits(shape);
    return (n > 0 ? lut_per_adder : 0.0) + lut_per_bit * n + lut_per_eight_bits * std::ceil(n / 8);
  }
  /// Operands that only stand side by side take no time.
  [[nodiscard]] double time(const AdderShape& shape) const {
    const double n = bits(shape);
    return n <= 0 ? 0.0 : delay + delay_per_bit * (n - 1);
  }
};

Result<Figures> read_figures(const Json& json, const std::string& key, const std::string& file, Context& ctx) {
  const auto invalid = [&](const std::string& message) {
    return ctx.fail(Kind::ConfigInvalid, {.file = file}, fmt::format("`{}`: {}", key, message));
  };
  if (!json.is_object()) return invalid("figures are an object like {\"lut_per_bit\": 1, \"delay\": 1.1}");
  Figures figures;
  for (const auto& [name, value] : json.items()) {
    if (name == "growth_is_free") {
      if (!value.is_boolean()) return invalid("`growth_is_free` is true or false");
      figures.growth_is_free = value.get<bool>();
      continue;
    }
    double* number = name == "lut_per_adder"        ? &figures.lut_per_adder
                     : name == "lut_per_bit"        ? &figures.lut_per_bit
                     : name == "lut_per_eight_bits" ? &figures.lut_per_eight_bits
                     : name == "delay"              ? &figures.delay
                     : name == "delay_per_bit"      ? &figures.delay_per_bit
                                                    : nullptr;
    if (number == nullptr) return ctx.fail(Kind::ConfigUnknownKey, {.file = file}, fmt::format("`{}.{}`", key, name));
    constexpr double kMost = 1e6;
    if (!value.is_number() || !(value.get<double>() >= 0.0) || value.get<double>() > kMost)
      return invalid(fmt::format("`{}` is a number from 0 to {:g}", name, kMost));
    *number = value.get<double>();
  }
  if (figures.delay <= 0.0) return invalid("`delay` is more than 0");
  return figures;
}

Json term_json(const Term& term) { return {{"node", term.operand}, {"shift", term.shift}, {"negate", term.negate}}; }

/// As a number where JSON readers keep it exact, else as text.
Json integer_json(Int value) {
  constexpr Int kExact = Int{1} << 53;
  if (value >= -kExact && value <= kExact) return static_cast<std::int64_t>(value);
  return fixed::to_string(value);
}

}  // namespace

Result<IntegerTable> read_integer_table(const std::filesystem::path& path, Context& ctx) {
  TableReader reader(path.string(), ctx);
  if (path.extension() == ".json") {
    WEFT_TRY(const std::string text, support::read_file(path, ctx));
    return reader.from_json(text);
  }
  WEFT_TRY(const auto arrays, support::read_arrays(path, ctx));
  if (arrays.size() != 1)
    return ctx.fail(Kind::ArrayMalformed, {.file = path.string()},
                    fmt::format("one matrix is wanted, the file holds {} arrays", arrays.size()));
  return reader.from_array(arrays.begin()->second);
}

Result<CostModel> read_cost_model(const std::filesystem::path& path, Context& ctx) {
  const std::string file = path.string();
  WEFT_TRY(const std::string text, support::read_file(path, ctx));
  WEFT_TRY(const Json json, support::parse_json(text, file, ctx));
  if (!json.is_object() || !json.contains("two"))
    return ctx.fail(Kind::ConfigInvalid, {.file = file}, "a cost model is an object with `two` and perhaps `three`");
  for (const auto& [key, value] : json.items()) {
    if (key != "two" && key != "three")
      return ctx.fail(Kind::ConfigUnknownKey, {.file = file}, fmt::format("`{}`", key));
  }
  CostModel model;
  WEFT_TRY(const Figures two, read_figures(json.at("two"), "two", file, ctx));
  model.adder_lut = [two](const AdderShape& shape) { return two.lut(shape); };
  model.adder_delay_ps = [two](const AdderShape& shape) { return two.time(shape); };
  if (json.contains("three")) {
    WEFT_TRY(const Figures three, read_figures(json.at("three"), "three", file, ctx));
    model.ternary_lut = [three](const AdderShape& shape) { return three.lut(shape); };
    model.ternary_delay_ps = [three](const AdderShape& shape) { return three.time(shape); };
  }
  return model;
}

Json to_json(const Solution& solution) {
  Json nodes = Json::array();
  for (const Node& node : solution.nodes) {
    Json entry;
    if (node.kind == Node::Kind::Input) entry["input"] = node.input;
    if (node.kind == Node::Kind::Constant) entry["constant"] = integer_json(node.constant);
    if (node.kind == Node::Kind::Sum) {
      entry["sum"] = Json::array();
      for (int t = 0; t < node.terms(); ++t) entry["sum"].push_back(term_json(node.term(t)));
    }
    entry["range"] = {integer_json(node.range.lo), integer_json(node.range.hi)};
    entry["step_log2"] = node.range.step_log2;
    entry["level"] = node.level;
    entry["delay"] = node.delay;
    nodes.push_back(std::move(entry));
  }
  Json outputs = Json::array();
  for (const Term& term : solution.outputs) outputs.push_back(term.operand < 0 ? Json(nullptr) : term_json(term));
  return {{"adders", solution.adders},
          {"two_input_adders", solution.adders - solution.ternary_adders},
          {"three_input_adders", solution.ternary_adders},
          {"lut", solution.lut},
          {"depth", solution.depth},
          {"delay", solution.delay},
          {"nodes", std::move(nodes)},
          {"outputs", std::move(outputs)}};
}

}  // namespace weft::shiftadd
