// SPDX-License-Identifier: Apache-2.0
/// @file
/// Families with their delay and cost figures, and the parts known by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/support/context.h"

namespace weft::hw {

/// Delays are local cell plus average local routing, in picoseconds.
struct Family {
  std::string_view name;  ///< as Yosys calls it: "xcup", "xc7", "ecp5", "ice40"
  std::string_view title;
  int lut_inputs = 6;
  double lut_ps = 0;         ///< one LUT level with its routing
  double adder_base_ps = 0;  ///< carry chain: entry, exit, routing
  double adder_per_bit_ps = 0;
  double register_ps = 0;      ///< clock to output plus setup
  double multiplier_ps = 0;    ///< DSP block, combinational; 0 when the family has none
  double uncertainty = 0.125;  ///< share of the period kept free
  bool has_dsp = false;
  bool has_shift_luts = false;  ///< long register chains become LUTs (SRL)
  /// LUTs that Yosys takes for logic of several levels, per LUT of our cover of the same logic: tables of nine and more
  /// index bits, and products of two signed factors of five and more bits.
  double wide_table_lut = 1;
  double signed_product_lut = 1;
  /// Three-input adders in one carry chain: LUTs per bit, and their delay in delays of two-input adders. 0: the family
  /// has none.
  double ternary_lut_per_bit = 0;
  double ternary_delay = 0;
  /// Bits of a carry cell of the family's library (CARRY4, CARRY8), where LUT6_2 and it make three-input adders.
  int carry_cell_bits = 0;

  /// Two functions of the same five bits take one LUT6_2; a plan whose primitives are those of Xilinx sets it.
  bool lut_pairs = false;

  [[nodiscard]] bool has_ternary() const { return ternary_lut_per_bit > 0; }
};

struct Part {
  std::string_view name;
  std::string_view family;
  std::int64_t lut = 0;
  std::int64_t ff = 0;
  std::int64_t dsp = 0;
  std::int64_t bram18 = 0;
  std::int64_t uram = 0;
  std::string_view note;  ///< boards that carry it
};

const std::vector<Family>& families();
const std::vector<Part>& parts();
/// By full name ("xcvu9p-flga2104-2L-e") or any unique beginning up to a "-" ("xcvu9p"); case does not matter.
std::optional<Part> find_part(std::string_view name);
std::optional<Family> find_family(std::string_view name);
/// As find_part; reports TargetUnknown with the names that come close.
Result<Part> require_part(std::string_view name, Context& ctx);
/// Reports DoesNotFit when the cells of the family make no three-input adders.
Result<void> require_ternary(const Family& family, Context& ctx);

}  // namespace weft::hw
