// SPDX-License-Identifier: Apache-2.0
// The reports of Vivado and Quartus here are written by hand after the formats that AMD (UG906) and Intel document; no
// such tool was run to make them. The report of nextpnr has the form that nextpnr-ecp5 0.11 writes.
#include "weft/driver/build_reports.h"

#include <gtest/gtest.h>

#include <string>

namespace weft::driver {
namespace {

constexpr const char* kUltraScale = R"(Copyright 1986-2023 Xilinx, Inc. All Rights Reserved.
| Design       : net
| Device       : xcvu9p-flga2104-2L-e

1. CLB Logic
------------

+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs                   | 3101 |     0 |          0 |   1182240 |  0.26 |
|   LUT as Logic             | 3087 |     0 |          0 |   1182240 |  0.26 |
|   LUT as Memory            |   14 |     0 |          0 |    591840 | <0.01 |
| CLB Registers              |  775 |     0 |          0 |   2364480 |  0.03 |
|   Register as Flip Flop    |  775 |     0 |          0 |   2364480 |  0.03 |
| CARRY8                     |  412 |     0 |          0 |    147780 |  0.28 |
+----------------------------+------+-------+------------+-----------+-------+

3. BLOCKRAM
-----------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    |  2.5 |     0 |          0 |      2160 |  0.12 |
|   RAMB36/FIFO*    |    2 |     0 |          0 |      2160 |  0.09 |
|   RAMB18          |    1 |     0 |          0 |      4320 |  0.02 |
| URAM              |    3 |     0 |          0 |       960 |  0.31 |
+-------------------+------+-------+------------+-----------+-------+

4. ARITHMETIC
-------------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |    7 |     0 |          0 |      6840 |  0.10 |
+-----------+------+-------+------------+-----------+-------+
)";

constexpr const char* kSeries7 = R"(1. Slice Logic
+-------------------------+------+-------+------------+-----------+-------+
|        Site Type        | Used | Fixed | Prohibited | Available | Util% |
+-------------------------+------+-------+------------+-----------+-------+
| Slice LUTs*             |  512 |     0 |          0 |     20800 |  2.46 |
| Slice Registers         |  150 |     0 |          0 |     41600 |  0.36 |
| Block RAM Tile |    0 |     0 |          0 |        50 |  0.00 |
| DSPs      |    0 |     0 |          0 |        90 |  0.00 |
7. Primitives
+----------+------+---------------------+
| Ref Name | Used | Functional Category |
+----------+------+---------------------+
| CARRY4   |   36 |          CarryLogic |
)";

constexpr const char* kTiming =
    R"(------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     -0.345       -1.200                      9                 1234        0.034        0.000
)";

class Reports : public testing::Test {
 protected:
  /// What went wrong last, as the user reads it.
  std::string problem() { return engine_.all().empty() ? "" : engine_.all().back().message; }

  diag::Engine engine_;
  Context ctx_{engine_};
};

TEST_F(Reports, VivadoOnUltraScale) {
  const auto u = parse_vivado_utilization(kUltraScale, "u.rpt", ctx_);
  ASSERT_TRUE(u.ok());
  EXPECT_EQ(u->lut, 3101);
  EXPECT_EQ(u->ff, 775);
  EXPECT_EQ(u->carry, 412);
  EXPECT_EQ(u->dsp, 7);
  EXPECT_EQ(u->bram18, 5);
  EXPECT_EQ(u->uram, 3);
}

TEST_F(Reports, VivadoOnSeries7) {
  const auto u = parse_vivado_utilization(kSeries7, "u.rpt", ctx_);
  ASSERT_TRUE(u.ok());
  EXPECT_EQ(u->lut, 512);
  EXPECT_EQ(u->ff, 150);
  EXPECT_EQ(u->carry, 36);
  EXPECT_EQ(u->bram18, 0);
  EXPECT_EQ(u->uram, 0);
}

TEST_F(Reports, VivadoTiming) {
  const auto slack = parse_vivado_slack(kTiming, "t.rpt", ctx_);
  ASSERT_TRUE(slack.ok());
  EXPECT_EQ(*slack, -0.345);
  std::string unconstrained = kTiming;
  unconstrained.replace(unconstrained.find("-0.345"), 6, "    NA");
  const auto none = parse_vivado_slack(unconstrained, "t.rpt", ctx_);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
}

/// Every beginning of a report either has the figures or is refused; none is read as other figures.
TEST_F(Reports, TruncatedOnesAreRefused) {
  const std::string usage = kUltraScale;
  const auto registers = usage.find("775");
  for (std::size_t size = 0; size < usage.size(); ++size) {
    const auto u = parse_vivado_utilization(usage.substr(0, size), "u.rpt", ctx_);
    // The cell of the registers has to be closed.
    EXPECT_EQ(u.ok(), size > registers + 4) << size;
    if (u.ok()) {
      EXPECT_EQ(u->lut, 3101) << size;
      EXPECT_EQ(u->ff, 775) << size;
    }
  }
  EXPECT_EQ(engine_.all().front().kind, Kind::ToolFailed);
  EXPECT_EQ(engine_.all().front().origin.file, "u.rpt");
  const std::string timing = kTiming;
  EXPECT_FALSE(parse_vivado_slack(timing.substr(0, timing.find("-0.345")), "t.rpt", ctx_).ok());
  EXPECT_FALSE(parse_vivado_slack("", "t.rpt", ctx_).ok());
}

TEST_F(Reports, HostileOnesAreRefused) {
  for (const char* count : {"1e99", "nan", "inf", "-5", "0x10", "99999999999999999999", "7 7", ""}) {
    std::string usage = kUltraScale;
    usage.replace(usage.find("3101"), 4, count);
    EXPECT_FALSE(parse_vivado_utilization(usage, "u.rpt", ctx_).ok()) << count;
  }
  EXPECT_FALSE(parse_vivado_utilization(std::string(1 << 20, '|'), "u.rpt", ctx_).ok());
  EXPECT_FALSE(parse_vivado_slack("WNS(ns)\n\nx\n", "t.rpt", ctx_).ok());
  EXPECT_FALSE(parse_quartus_slack(std::string("\0 : :\n", 6), "s", ctx_).ok());
  for (const char* json : {"", "[]", "{}", R"({"utilization": 3, "fmax": {}})",
                           R"({"utilization": {"TRELLIS_COMB": {"used": "many"}}, "fmax": {}})",
                           R"({"utilization": {"TRELLIS_COMB": {"used": 4}}, "fmax": {"clk": 5}})",
                           R"({"utilization": {"TRELLIS_COMB": {"used": -4}}, "fmax": {}})"})
    EXPECT_FALSE(parse_nextpnr_report(json, "r.json", ctx_).ok()) << json;
}

constexpr const char* kFit = R"(Fitter Status : Successful - Tue Mar 14 09:12:04 2023
Quartus Prime Version : 22.1std.0 Build 915 10/25/2022 SC Lite Edition
Revision Name : build
Top-level Entity Name : net
Family : Cyclone V
Device : 5CGXFC7C7F23C8
Timing Models : Final
Logic utilization (in ALMs) : 1,234 / 56,480 ( 2 % )
Total registers : 2345
Total pins : 1 / 268 ( < 1 % )
Total virtual pins : 120
Total block memory bits : 10,240 / 7,024,640 ( < 1 % )
Total RAM Blocks : 3 / 686 ( < 1 % )
Total DSP Blocks : 4 / 156 ( 3 % )
)";

constexpr const char* kSta = R"(------------------------------------------------------------
Timing Analyzer Summary
------------------------------------------------------------

Type  : Slow 1100mV 85C Model Setup 'clk'
Slack : 1.234
TNS   : 0.000

Type  : Slow 1100mV 85C Model Hold 'clk'
Slack : 0.123
TNS   : 0.000

Type  : Slow 1100mV 0C Model Setup 'clk'
Slack : 0.987
TNS   : 0.000

Type  : Fast 1100mV 0C Model Minimum Pulse Width 'clk'
Slack : -9.000
TNS   : 0.000
)";

TEST_F(Reports, QuartusFitter) {
  const auto u = parse_quartus_fit(kFit, "fit", ctx_);
  ASSERT_TRUE(u.ok());
  EXPECT_EQ(u->lut, 1234);
  EXPECT_EQ(u->lut_unit, "ALM");
  EXPECT_EQ(u->ff, 2345);
  EXPECT_EQ(u->bram18, 3);
  EXPECT_EQ(u->dsp, 4);
  EXPECT_FALSE(u->carry.has_value());
  std::string elements = kFit;
  elements.replace(elements.find("Logic utilization (in ALMs)"), 27, "Total logic elements");
  const auto old = parse_quartus_fit(elements, "fit", ctx_);
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->lut, 1234);
  EXPECT_EQ(old->lut_unit, "LE");
  std::string failed = kFit;
  failed.replace(failed.find("Successful"), 10, "Failed");
  EXPECT_FALSE(parse_quartus_fit(failed, "fit", ctx_).ok());
  const std::string whole = kFit;
  EXPECT_FALSE(parse_quartus_fit(whole.substr(0, whole.find("Total registers")), "fit", ctx_).ok());
}

TEST_F(Reports, QuartusTimingIsTheWorstCorner) {
  const auto slack = parse_quartus_slack(kSta, "sta", ctx_);
  ASSERT_TRUE(slack.ok());
  EXPECT_EQ(*slack, 0.987);
  const std::string whole = kSta;
  // A heading without its slack is a report that was cut.
  EXPECT_FALSE(parse_quartus_slack(whole.substr(0, whole.find("Slack : 0.987")), "sta", ctx_).ok());
  const auto no_setup = parse_quartus_slack(whole.substr(0, whole.find("Type")), "sta", ctx_);
  ASSERT_TRUE(no_setup.ok());
  EXPECT_FALSE(no_setup->has_value());
}

TEST_F(Reports, Nextpnr) {
  const auto r = parse_nextpnr_report(
      R"({"critical_paths": [], "fmax": {"clk": {"achieved": 57.25, "constraint": 100}},
          "utilization": {"DP16KD": {"available": 56, "used": 2}, "MULT18X18D": {"available": 28, "used": 1},
                          "TRELLIS_COMB": {"available": 24288, "used": 482}, "TRELLIS_FF": {"available": 24288, "used": 150}}})",
      "r.json", ctx_);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->utilization.lut, 482);
  EXPECT_EQ(r->utilization.ff, 150);
  EXPECT_EQ(r->utilization.dsp, 1);
  EXPECT_EQ(r->utilization.bram18, 2);
  EXPECT_EQ(r->fmax_mhz, 57.25);
  // A design without registers has no clock.
  const auto wires = parse_nextpnr_report(R"({"fmax": {}, "utilization": {"ICESTORM_LC": {"used": 9}}})", "r", ctx_);
  ASSERT_TRUE(wires.ok());
  EXPECT_EQ(wires->utilization.lut, 9);
  EXPECT_FALSE(wires->fmax_mhz.has_value());
}

}  // namespace
}  // namespace weft::driver
