// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/slot_schedule.h"

#include <gtest/gtest.h>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// Three inputs that one multiplication by 5 after the other takes, and the sum of all; a fourth input goes around.
struct Fixture {
  Netlist netlist;
  Builder builder{netlist};
  std::vector<NetId> x;
  NetId product;
  NetId sum;
  NetId around;
  Fixture() {
    builder.begin_module("m", "test");
    Port in{"x", {}, 8, true};
    for (int i = 0; i < 4; ++i) {
      x.push_back(builder.input({-100, 100, 0}));
      in.elements.push_back(x.back());
    }
    netlist.inputs.push_back(in);
    const NetId slot = builder.slot(3);
    const NetId selected = builder.select(slot, {x[0], x[1], x[2]});
    product = builder.sum({{selected, 2, false}, {selected, 0, false}});
    sum = builder.accumulate(product, 7, 0);
    around = builder.sum({{sum, 0, false}, {x[3], 0, true}});
  }
  void output(const std::vector<NetId>& nets) { netlist.outputs.push_back({"y", nets, 40, true}); }
  Pipeline plan(double stage_ps, int interval) {
    EXPECT_EQ(verify(netlist), "");
    std::vector<double> delays;
    for (const Cell& cell : netlist.cells)
      delays.push_back(cell.op == Op::Sum || cell.op == Op::Accumulate || cell.op == Op::Select ? 3.0 : 0.0);
    diag::Engine engine;
    Context ctx{engine};
    const PipelineOptions options{.stage_ps = stage_ps, .interval = interval};
    const Pipeline pipeline = make_pipeline(netlist, delays, options, ctx);
    EXPECT_EQ(verify(netlist, pipeline, delays), "");
    EXPECT_EQ(pipeline.output_stage, count_stages(netlist, delays, options));
    return pipeline;
  }
};

TEST(Slots, ASumOverSlotsIsTheSumOfAll) {
  Fixture f;
  f.output({f.around, f.builder.pick(f.product, 1)});
  const auto values = evaluate(f.netlist, {{1, -20, 300 - 200, 13}});
  EXPECT_EQ(values[f.sum.index], 7 + 5 * (1 - 20 + 100));
  EXPECT_EQ(values[f.around.index], 7 + 5 * 81 - 13);
  EXPECT_EQ(values[f.netlist.outputs[0].elements[1].index], -100);
}

TEST(Slots, DigitsOfASumAreWorthMoreFromSlotToSlot) {
  Fixture f;
  const NetId digits = f.builder.accumulate(f.product, -3, 4);
  f.output({digits});
  const auto values = evaluate(f.netlist, {{1, 2, 3, 0}});
  EXPECT_EQ(values[digits.index], -3 + 5 * (1 + 2 * 16 + 3 * 256));
}

TEST(Slots, TheVerifierSeesOperandsOfDifferentSlots) {
  Fixture f;
  f.output({f.around});
  ASSERT_EQ(verify(f.netlist), "");
  Netlist wrong = f.netlist;
  wrong.cells[f.around.index].terms[0].net = f.product;
  EXPECT_NE(verify(wrong).find("slots"), std::string::npos) << verify(wrong);
  wrong = f.netlist;
  wrong.cells[f.product.index].slots = 1;
  EXPECT_NE(verify(wrong).find("slots"), std::string::npos) << verify(wrong);
}

TEST(Slots, AWayThroughThreeSlotsTakesTwoMoreStages) {
  for (const int interval : {3, 4, 7}) {
    Fixture f;
    f.output({f.around});
    // Everything in one stage: the slots begin in stage 1, the last one is in stage 3.
    EXPECT_EQ(f.plan(100.0, interval).stage[f.around.index], 3);
    // A stage for every adder and the choice.
    EXPECT_EQ(f.plan(3.0, interval).stage[f.around.index], 1 + 1 + 1 + 2 + 1);
  }
}

TEST(Slots, OneRegisterHoldsAValueUntilTheNextEvent) {
  Fixture f;
  f.output({f.around});
  const Pipeline pipeline = f.plan(3.0, 4);
  const auto depth = register_depths(f.netlist, pipeline);
  // Read at most three stages later: one register. The one that goes around waits longer than an event lasts.
  EXPECT_EQ(depth[f.x[0].index], 1);
  EXPECT_EQ(depth[f.x[2].index], 1);
  EXPECT_EQ(depth[f.x[3].index], 2);
  const auto delay = read_delays(f.netlist, pipeline);
  EXPECT_EQ(load_stage(f.netlist, pipeline, f.x[3].index, 1, delay[f.x[3].index]), 0);
  EXPECT_EQ(load_stage(f.netlist, pipeline, f.x[3].index, 2, delay[f.x[3].index]), 4);
}

}  // namespace
}  // namespace weft::netlist
