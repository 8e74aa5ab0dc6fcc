// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace weft::hw {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

// Delays are cell figures of the vendors' data sheets (middle speed grade) plus a typical routing hop of a half-full
// device. They decide where registers go; they are no sign-off.
//
//   xcup:  LUT6 ~0.12 ns + 0.33 ns net; CARRY8 ~0.08 ns per 8 bits, entry and exit ~0.25 ns + net; register 0.11 ns
//   xc7:   LUT6 0.124 ns + 0.55 ns net; CARRY4 0.117 ns per 4 bits, entry and exit ~0.6 ns + net; register 0.5 ns
//   ice40: LUT4 0.4 ns + 0.8 ns net; carry 0.126 ns per bit, entry and exit ~0.9 ns + net (HX)
//
// Those of ecp5 are the steps of the longest paths that nextpnr-ecp5 0.11.1 routed (speed grade 6, Yosys 0.23; `./dev
// calibrate-delays`): LUT4 0.24 ns, nets into LUTs 0.87 to 0.89 ns; CCU2C 0.45 ns in, 0.43 ns out, 0.071 ns per 2 bits,
// nets into it 1.11 to 1.18 ns; clk-to-q 0.53 ns, end of the path 0.12 ns. Six drawn layers at 7 and 12 ns, three
// seeds, and the networks hgq2_openml_530 and hgq2_cernbox_1043 at 10 ns, five seeds: 46 of 46 runs meet the asked
// period. With 0.89, 1.5 and 0.6 ns for LUT, adder and register 30 of 46 did, of the networks none. The networks take
// 0.89 to 0.95 of the period, these layers 0.57 to 0.80. Held out: the drawn small_1
// and small_3 of `./dev bench-routed`, 10 of 10 runs. Multipliers were not calibrated.
//
// What Yosys takes for logic of several levels is fitted: `./dev bench-prediction --fit`.
//
// Three-input adders: a LUT6_2 compresses three bits to two and the carry chain adds them, one LUT per bit (US patent
// 7274211), which is what synthesis counts. Kumm and Zipf report about half the speed of a two-input adder. The second
// LUT output and the sum share an output of the slice: a sum that no flip-flop takes at once may need a second LUT per
// bit when it is placed, which no place-and-route run has shown or refuted here. The carry chains of the Lattice
// families take two operands.
const std::vector<Family>& families() {
  static const std::vector<Family> table = {
      {.name = "xcup",
       .title = "Xilinx UltraScale+",
       .lut_inputs = 6,
       .lut_ps = 450,
       .adder_base_ps = 600,
       .adder_per_bit_ps = 11,
       .register_ps = 110,
       .multiplier_ps = 2600,
       .uncertainty = 0.125,
       .has_dsp = true,
       .has_shift_luts = true,
       .wide_table_lut = 1.26,
       .signed_product_lut = 1.38,
       .ternary_lut_per_bit = 1,
       .ternary_delay = 2,
       .carry_cell_bits = 8},
      {.name = "xcu",
       .title = "Xilinx UltraScale",
       .lut_inputs = 6,
       .lut_ps = 550,
       .adder_base_ps = 720,
       .adder_per_bit_ps = 14,
       .register_ps = 150,
       .multiplier_ps = 3100,
       .uncertainty = 0.125,
       .has_dsp = true,
       .has_shift_luts = true,
       .wide_table_lut = 1.26,
       .signed_product_lut = 1.38,
       .ternary_lut_per_bit = 1,
       .ternary_delay = 2,
       .carry_cell_bits = 8},
      {.name = "xc7",
       .title = "Xilinx 7 series",
       .lut_inputs = 6,
       .lut_ps = 680,
       .adder_base_ps = 1150,
       .adder_per_bit_ps = 29,
       .register_ps = 500,
       .multiplier_ps = 3900,
       .uncertainty = 0.125,
       .has_dsp = true,
       .has_shift_luts = true,
       .wide_table_lut = 1.26,
       .signed_product_lut = 1.38,
       .ternary_lut_per_bit = 1,
       .ternary_delay = 2,
       .carry_cell_bits = 4},
      {.name = "ecp5",
       .title = "Lattice ECP5",
       .lut_inputs = 4,
       .lut_ps = 1100,
       .adder_base_ps = 2050,
       .adder_per_bit_ps = 36,
       .register_ps = 650,
       .multiplier_ps = 4200,
       .uncertainty = 0.125,
       .has_dsp = true},
      {.name = "ice40",
       .title = "Lattice iCE40",
       .lut_inputs = 4,
       .lut_ps = 1200,
       .adder_base_ps = 1700,
       .adder_per_bit_ps = 126,
       .register_ps = 1000,
       .multiplier_ps = 0,
       .uncertainty = 0.125,
       .has_dsp = false},
  };
  return table;
}

const std::vector<Part>& parts() {
  static const std::vector<Part> table = {
      // name, family, LUT, FF, DSP, BRAM18 (or as many 18 Kbit of other blocks), URAM, boards
      {"xcvu9p-flga2104-2L-e", "xcup", 1182240, 2364480, 6840, 4320, 960, "VCU118"},
      {"xcvu13p-flga2577-2-e", "xcup", 1728000, 3456000, 12288, 5376, 1280, "trigger boards (Serenity, APx)"},
      {"xcvu11p-flga2577-2-e", "xcup", 1296000, 2592000, 9216, 4032, 960, ""},
      {"xcvu7p-flvb2104-2-e", "xcup", 788160, 1576320, 4560, 2880, 640, "trigger boards"},
      {"xcvu35p-fsvh2104-2-e", "xcup", 872160, 1744320, 5952, 2688, 640, ""},
      {"xcu50-fsvh2104-2-e", "xcup", 871680, 1743360, 5952, 2688, 640, "Alveo U50"},
      {"xcu250-figd2104-2L-e", "xcup", 1728000, 3456000, 12288, 5376, 1280, "Alveo U250"},
      {"xcu280-fsvh2892-2L-e", "xcup", 1303680, 2607360, 9024, 4032, 960, "Alveo U280"},
      {"xcku15p-ffve1517-2-e", "xcup", 522720, 1045440, 1968, 1968, 128, ""},
      {"xcku5p-ffvb676-2-e", "xcup", 216960, 433920, 1824, 960, 64, "KCU116"},
      {"xczu3eg-sbva484-1-e", "xcup", 70560, 141120, 360, 432, 0, "Ultra96"},
      {"xczu7ev-ffvc1156-2-e", "xcup", 230400, 460800, 1728, 624, 96, "ZCU104"},
      {"xczu9eg-ffvb1156-2-e", "xcup", 274080, 548160, 2520, 1824, 0, "ZCU102"},
      {"xczu28dr-ffvg1517-2-e", "xcup", 425280, 850560, 4272, 2160, 80, "ZCU111"},
      {"xczu48dr-ffvg1517-2-e", "xcup", 425280, 850560, 4272, 2160, 80, "RFSoC 4x2"},
      {"xck26-sfvc784-2LV-c", "xcup", 117120, 234240, 1248, 288, 64, "Kria KV260, KR260"},
      {"xcku115-flvb2104-2-i", "xcu", 663360, 1326720, 5520, 4320, 0, "trigger boards (MP7 successors)"},
      {"xcku040-ffva1156-2-e", "xcu", 242400, 484800, 1920, 1200, 0, "KCU105"},
      {"xc7vx690tffg1927-2", "xc7", 433200, 866400, 3600, 2940, 0, "MP7"},
      {"xc7k325tffg900-2", "xc7", 203800, 407600, 840, 890, 0, "KC705"},
      {"xc7a35ticsg324-1L", "xc7", 20800, 41600, 90, 100, 0, "Arty A7-35"},
      {"xc7a100tcsg324-1", "xc7", 63400, 126800, 240, 270, 0, "Arty A7-100, Nexys A7"},
      {"xc7a200tsbg484-1", "xc7", 134600, 269200, 740, 730, 0, "Nexys Video"},
      {"xc7z010clg400-1", "xc7", 17600, 35200, 80, 120, 0, "Zybo"},
      {"xc7z020clg400-1", "xc7", 53200, 106400, 220, 280, 0, "PYNQ-Z1, PYNQ-Z2"},
      {"xc7z045ffg900-2", "xc7", 218600, 437200, 900, 1090, 0, "ZC706"},
      {"lfe5u-25f", "ecp5", 24288, 24288, 28, 56, 0, "ColorLight i5, IcePi Zero"},
      {"lfe5u-45f", "ecp5", 43848, 43848, 72, 108, 0, ""},
      {"lfe5um5g-85f", "ecp5", 83640, 83640, 156, 208, 0, "ECP5 evaluation board, ULX3S (85F)"},
      {"ice40hx8k-ct256", "ice40", 7680, 7680, 0, 7, 0, "iCE40-HX8K breakout board"},
      {"ice40up5k-sg48", "ice40", 5280, 5280, 8, 6, 0, "iCEBreaker, UPduino"},
  };
  return table;
}

std::optional<Part> find_part(std::string_view name) {
  const std::string wanted = lower(name);
  if (wanted.empty()) return std::nullopt;
  const Part* found = nullptr;
  for (const Part& part : parts()) {
    const std::string known = lower(part.name);
    if (known == wanted) return part;
    // A beginning must end at a "-" or where the package starts.
    if (known.size() > wanted.size() && known.compare(0, wanted.size(), wanted) == 0 &&
        (known[wanted.size()] == '-' || std::isalpha(static_cast<unsigned char>(known[wanted.size()])) != 0)) {
      if (found != nullptr) return std::nullopt;
      found = &part;
    }
  }
  // Another package or speed grade of a known device has the same capacities.
  if (found == nullptr) {
    const std::string device = wanted.substr(0, wanted.find('-'));
    for (const Part& part : parts()) {
      const std::string known = lower(part.name);
      if (device.size() >= 6 && known.substr(0, known.find('-')) == device) return part;
    }
    return std::nullopt;
  }
  return *found;
}

std::optional<Family> find_family(std::string_view name) {
  const std::string wanted = lower(name);
  for (const Family& family : families()) {
    if (family.name == wanted) return family;
  }
  return std::nullopt;
}

Result<void> require_ternary(const Family& family, Context& ctx) {
  if (family.has_ternary()) return {};
  return ctx.fail(
      Kind::DoesNotFit, {},
      fmt::format("{} has no LUT6_2 and CARRY cells, which the xilinx primitives are; portable Verilog runs "
                  "on every part",
                  family.title));
}

Result<Part> require_part(std::string_view name, Context& ctx) {
  if (auto part = find_part(name)) return *part;
  std::vector<std::string> notes;
  const std::string wanted = lower(name);
  for (const Part& part : parts()) {
    if (wanted.size() >= 4 && lower(part.name).compare(0, 4, wanted, 0, 4) == 0) {
      notes.push_back(fmt::format("known: `{}`", part.name));
    }
  }
  return ctx.fail(Kind::TargetUnknown, {},
                  fmt::format("the part `{}` is not known; `weft targets` lists the known ones", name),
                  std::move(notes));
}

}  // namespace weft::hw
