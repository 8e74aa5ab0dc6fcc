// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/bit_circuit.h"

#include <gtest/gtest.h>

#include <numeric>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// x of 8 signed and u of 6 unsigned bits, registered; what is made of them is registered, too.
struct Fixture {
  Netlist netlist;
  Builder builder{netlist};
  NetId x;
  NetId u;
  Fixture() {
    builder.begin_module("m", "test");
    x = builder.input({-128, 127, 0});
    u = builder.input({0, 63, 0});
    netlist.inputs.push_back({"x", {x}, 8, true});
    netlist.inputs.push_back({"u", {u}, 6, false});
  }
  struct Total {
    std::int64_t lut, ff, srl;
    bool operator==(const Total&) const = default;
  };
  /// Registers behind the inputs and in front of the outputs.
  Total count(const std::vector<NetId>& outputs, int more_stages = 0) {
    Pipeline pipeline;
    pipeline.stage.assign(netlist.cells.size(), 1);
    for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
      if (netlist.cells[i].op == Op::Input) pipeline.stage[i] = 0;
    }
    pipeline.output_stage = 2 + more_stages;
    return count(outputs, pipeline);
  }
  Total count(const std::vector<NetId>& outputs, const Pipeline& pipeline) {
    for (const NetId net : outputs) netlist.outputs.push_back({"y", {net}, 64, true});
    const std::vector<Hard> hard(netlist.cells.size(), Hard::No);
    const BitUsage usage = count_bits(bit_circuit(netlist, pipeline, hard), netlist.cells.size(), true, false);
    const auto sum = [](const auto& list) { return std::accumulate(list.begin(), list.end(), std::int64_t{0}); };
    return {sum(usage.lut), sum(usage.flip_flop), sum(usage.shift_lut)};
  }
};

// The figures are those of Yosys 0.23 for the same circuits, `synth_xilinx -family xcup -nodsp`.

TEST(BitCircuit, AClipAtZeroIsTheResetOfItsRegister) {
  Fixture f;
  EXPECT_EQ(f.count({f.builder.clamp(f.x, 0, 127)}), (Fixture::Total{0, 8 + 7, 0}));
}

TEST(BitCircuit, TheSecondBoundIsInFrontOfTheRegister) {
  Fixture f;
  // Both bounds fit into the table of each bit with the bits that they compare.
  EXPECT_EQ(f.count({f.builder.clamp(f.x, 0, 31)}), (Fixture::Total{5, 8 + 5, 0}));
}

TEST(BitCircuit, AnAdderTakesATablePerBitWhereBothOperandsReach) {
  Fixture f;
  // u * 4 + x: the low two bits are wires; bits 2 to 7 add, the sign extends x through one more pair of signs.
  const Fixture::Total total = f.count({f.builder.sum({{f.x, 0, false}, {f.u, 2, false}})});
  EXPECT_EQ(total.lut, 6);
  EXPECT_EQ(total.ff, 8 + 6 + 10);
}

TEST(BitCircuit, AnIncrementIsAChainWithoutTables) {
  Fixture f;
  EXPECT_EQ(f.count({f.builder.sum({{f.u, 0, false}, {f.builder.constant(1), 0, false}})}).lut, 0);
}

TEST(BitCircuit, EqualFunctionsAreSharedAcrossCells) {
  Fixture f;
  const NetId a = f.builder.logic_and(f.builder.bits(f.u, 0, 1), f.builder.bits(f.u, 1, 1));
  const NetId b = f.builder.mux(f.builder.bits(f.u, 0, 1), f.builder.bits(f.u, 1, 1), f.builder.constant(0));
  EXPECT_EQ(f.count({a, b}).lut, 1);
}

TEST(BitCircuit, TablesShareEqualHalves) {
  Fixture f;
  // The lowest bit of |x| and the sign are bits of x; a function of six bits is a table per bit.
  std::vector<Int> values;
  for (int i = 0; i < 64; ++i) values.push_back((i * 37 + 11) % 64 / 8);
  EXPECT_EQ(f.count({f.builder.table(f.u, 0, values)}).lut, 3);
}

TEST(BitCircuit, LongChainsAreShiftRegisters) {
  Fixture f;
  EXPECT_EQ(f.count({f.x}, 1), (Fixture::Total{0, 0, 8}));
}

TEST(BitCircuit, ASumOverSlotsHasItsStartAsResetAndSet) {
  Fixture f;
  std::vector<NetId> xs{f.x};
  for (int i = 0; i < 2; ++i) xs.push_back(f.builder.input({-128, 127, 0}));
  const NetId slot = f.builder.slot(3);
  const NetId selected = f.builder.select(slot, xs);
  const fixed::Range known{-300, 400, 0};
  const NetId sum = f.builder.accumulate(selected, 5, 0, &known);
  Pipeline pipeline{.stage = std::vector<int>(f.netlist.cells.size(), 0), .output_stage = 5, .interval = 3};
  pipeline.stage[slot.index] = pipeline.stage[selected.index] = 1;
  pipeline.stage[sum.index] = 4;
  // A table per bit for the choice of three, one per bit of the sum and one of the counter. Registers: three inputs,
  // the counter, the choice, the sum so far and the result.
  EXPECT_EQ(f.count({sum}, pipeline), (Fixture::Total{8 + 10 + 1, 3 * 8 + 2 + 8 + 10 + 10, 0}));
}

}  // namespace
}  // namespace weft::netlist
