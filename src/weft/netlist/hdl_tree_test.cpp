// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/hdl_tree.h"

#include <gtest/gtest.h>

#include "weft/netlist/print_verilog.h"

namespace weft::netlist {
namespace {

TEST(Expr, SetsParenthesesWhereTheyAreNeeded) {
  const Expr a = Expr::name("a");
  const Expr b = Expr::name("b");
  const Expr c = Expr::name("c");
  EXPECT_EQ(verilog_text((a + b + c)), "a + b + c");
  EXPECT_EQ(verilog_text((a - (b - c))), "a - (b - c)");
  EXPECT_EQ(verilog_text(((a + b) * c)), "(a + b) * c");
  EXPECT_EQ(verilog_text(((a & b) | c)), "a & b | c");
  EXPECT_EQ(verilog_text((a & (b | c))), "a & (b | c)");
  EXPECT_EQ(verilog_text((~(a & b))), "~(a & b)");
  EXPECT_EQ(verilog_text(Expr::choose(Expr::at_least(a, b), a + c, Expr::choose(c, a, b))),
            "a >= b ? a + c : c ? a : b");
  EXPECT_EQ(verilog_text(Expr::choose(Expr::choose(a, b, c), a, b)), "(a ? b : c) ? a : b");
  EXPECT_EQ(verilog_text((Expr::or_all(a) & b)), "|a & b");
  EXPECT_EQ(verilog_text((~Expr::or_all(a))), "~(|a)");
}

TEST(Expr, WritesVectors) {
  EXPECT_EQ(verilog_text(Expr::constant(4, -1)), "4'd15");
  EXPECT_EQ(verilog_text(Expr::constant(40, -1)), "40'hffffffffff");
  EXPECT_EQ(verilog_text(Expr::constant(100, Int{1} << 99)), "100'h8000000000000000000000000");
  EXPECT_EQ(verilog_text(Expr::slice("x", 3, 3)), "x[3]");
  EXPECT_EQ(verilog_text(
                Expr::concat({Expr::repeat(3, Expr::bit("x", 4)), Expr::concat({Expr::name("a"), Expr::name("b")})})),
            "{{3{x[4]}}, a, b}");
}

TEST(Names, AreLegalAndUnique) {
  EXPECT_EQ(legal_identifier("3 of module"), "m_3_of_module");
  EXPECT_EQ(legal_identifier("wire"), "m_wire");
  EXPECT_EQ(legal_identifier("a.b/c:0"), "a_b_c_0");
  EXPECT_EQ(legal_identifier(""), "m_");
  EXPECT_TRUE(is_verilog_keyword("endmodule"));
  EXPECT_TRUE(is_verilog_keyword("logic"));
  EXPECT_FALSE(is_verilog_keyword("log"));
  NameScope scope;
  EXPECT_EQ(scope.unique("Dense"), "Dense");
  EXPECT_EQ(scope.unique("dense"), "dense_2");
  EXPECT_EQ(scope.unique("dense_2"), "dense_2_2");
}

TEST(Verilog, PrintsAllItsParts) {
  HdlModule m("top");
  m.header("what it is");
  m.input("clk", 1);
  m.input("rst", 1);
  m.input("at3", 1);
  m.input("x", 4);
  m.output("y", 2);
  m.table("f", 2, 1, 0, {1, 3});
  m.wire("w", 2, Expr::call("f", Expr::bit("x", 0)), "note");
  m.reg("r", 2, Expr::name("w"));
  m.reg_loaded("h", 2, Expr::name("r"), "at3");
  m.reg_with_reset("v", 1, Expr::bit("x", 1));
  m.set_enable("ce");
  m.assign("y", Expr::name("r"));
  EXPECT_EQ(print_verilog(m),
            "// what it is\n"
            "module top (\n"
            "  input  wire clk,\n"
            "  input  wire rst,\n"
            "  input  wire at3,\n"
            "  input  wire [3:0] x,\n"
            "  output wire [1:0] y);\n"
            "\n"
            "  function [1:0] f;\n"
            "    input x;\n"
            "    case (x)\n"
            "      1'd0: f = 2'd1;\n"
            "      1'd1: f = 2'd3;\n"
            "      default: f = {2{1'bx}};\n"
            "    endcase\n"
            "  endfunction\n"
            "  wire [1:0] w = f(x[0]);  // note\n"
            "  reg [1:0] r;\n"
            "  reg [1:0] h;\n"
            "  reg v;\n"
            "  assign y = r;\n"
            "\n"
            "  always @(posedge clk) if (ce) begin\n"
            "    r <= w;\n"
            "  end\n"
            "\n"
            "  always @(posedge clk) if (ce && at3) begin\n"
            "    h <= r;\n"
            "  end\n"
            "\n"
            "  always @(posedge clk) begin\n"
            "    if (rst) begin\n"
            "      v <= 1'd0;\n"
            "    end else if (ce) begin\n"
            "      v <= x[1];\n"
            "    end\n"
            "  end\n"
            "\n"
            "endmodule\n");
}

}  // namespace
}  // namespace weft::netlist
