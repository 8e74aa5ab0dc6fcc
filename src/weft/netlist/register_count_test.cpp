// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/register_count.h"

#include <gtest/gtest.h>

#include <numeric>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// a (8 bits) and b (4 bits, signed) in stage 0, a test net read in stage `stage`.
struct Fixture {
  Netlist netlist;
  Builder builder{netlist};
  NetId a;
  NetId b;
  Fixture() {
    builder.begin_module("m", "test");
    a = builder.input({0, 255, 0});
    b = builder.input({-8, 7, 0});
    netlist.inputs.push_back({"a", {a}, 8, false});
    netlist.inputs.push_back({"b", {b}, 4, true});
  }
  RegisterCount count(const std::vector<NetId>& outputs, int stage, bool shift_registers = false) {
    for (NetId net : outputs) netlist.outputs.push_back({"y", {net}, 64, true});
    Pipeline pipeline;
    pipeline.stage.assign(netlist.cells.size(), 0);
    pipeline.output_stage = stage;
    return count_registers(netlist, pipeline, shift_registers);
  }
  static std::int64_t total(const std::vector<std::int64_t>& v) {
    return std::accumulate(v.begin(), v.end(), std::int64_t{0});
  }
};

TEST(RegisterCount, CountsBitsTimesStages) {
  Fixture f;
  EXPECT_EQ(Fixture::total(f.count({f.a, f.b}, 2).flip_flops), 24);
}

TEST(RegisterCount, CopiesAreRegisteredOnce) {
  Fixture f;
  const NetId sum = f.builder.sum({{f.a, 0, false}, {f.b, 4, false}});  // the low 4 bits are those of a
  const NetId low = f.builder.bits(f.a, 0, 3);
  const NetId wide = f.builder.concat({{f.builder.constant(5), 0, false}, {f.b, 3, false}});
  ASSERT_EQ(f.builder.at(sum).width_bits, 10);  // -128..367
  // a: 8, the chain of the sum: 6, b: 4; constants, the copies and the slice cost nothing.
  EXPECT_EQ(Fixture::total(f.count({f.a, sum, low, wide}, 1).flip_flops), 8 + 6 + 4);
}

TEST(RegisterCount, BitsThatNobodyReadsVanish) {
  Fixture f;
  const NetId sum = f.builder.sum({{f.a, 0, false}, {f.b, 0, false}});
  const NetId high = f.builder.shift_right(sum, 3);
  EXPECT_EQ(Fixture::total(f.count({high}, 1).flip_flops), f.builder.at(high).width_bits);
  EXPECT_EQ(used_bits(f.netlist)[sum.index], UInt{0x3f8});
  EXPECT_EQ(used_bits(f.netlist)[f.a.index], UInt{0xff});  // carries come from below
}

TEST(RegisterCount, LongChainsBecomeShiftRegisters) {
  for (const auto& [stages, luts, ffs] :
       {std::tuple{2, 0, 16}, {3, 8, 0}, {16, 8, 0}, {17, 8, 8}, {32, 8, 0}, {33, 8, 8}}) {
    Fixture f;
    const RegisterCount count = f.count({f.a}, stages, true);
    EXPECT_EQ(Fixture::total(count.shift_luts), luts) << stages;
    EXPECT_EQ(Fixture::total(count.flip_flops), ffs) << stages;
  }
}

}  // namespace
}  // namespace weft::netlist
