// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/print_vhdl.h"

#include <gtest/gtest.h>

namespace weft::netlist {
namespace {

TEST(Vhdl, IdentifiersAreBasicWhereTheyCanBe) {
  EXPECT_EQ(vhdl_identifier("Dense_2"), "Dense_2");
  EXPECT_EQ(vhdl_identifier("a__b"), "\\a__b\\");
  EXPECT_EQ(vhdl_identifier("_a"), "\\_a\\");
  EXPECT_EQ(vhdl_identifier("a_"), "\\a_\\");
  EXPECT_EQ(vhdl_identifier("Signal"), "\\Signal\\");
  EXPECT_EQ(vhdl_identifier("resize"), "\\resize\\");
  EXPECT_EQ(vhdl_identifier("signals"), "signals");
  EXPECT_EQ(ghdl_verilog_name("Dense_2"), "dense_2");
  EXPECT_EQ(ghdl_verilog_name("Signal"), "Signal");
}

TEST(Vhdl, ConstantsHaveTheirWidth) {
  EXPECT_EQ(vhdl_constant(1, 1), "'1'");
  EXPECT_EQ(vhdl_constant(3, 5), "\"101\"");
  EXPECT_EQ(vhdl_constant(12, 0xabc), "x\"abc\"");
  EXPECT_EQ(vhdl_constant(9, 0x101), "\"100000001\"");
  EXPECT_EQ(vhdl_constant(136, UInt{1} << 127), "x\"0080000000000000000000000000000000\"");
}

TEST(Vhdl, CommentsAreAscii) { EXPECT_EQ(vhdl_comment("dens\xc3\xa9"), "dens??"); }

/// The statement of one wire over a (4 bits), b (4 bits), s and t (one bit).
std::string statement(int width_bits, const Expr& value) {
  HdlModule m("m");
  m.input("a", 4);
  m.input("b", 4);
  m.input("s", 1);
  m.input("t", 1);
  m.wire("y", width_bits, value);
  const std::string text = print_vhdl(m);
  const auto begin = text.find("  y <= ") + 7;
  return text.substr(begin, text.find(";\n", begin) - begin);
}

TEST(Vhdl, WritesExpressions) {
  const Expr a = Expr::name("a");
  const Expr b = Expr::name("b");
  const Expr s = Expr::name("s");
  const Expr t = Expr::name("t");
  EXPECT_EQ(statement(4, a - (b - a)), "a - (b - a)");
  EXPECT_EQ(statement(4, a + b - a), "a + b - a");
  EXPECT_EQ(statement(5, a + b), "resize(a, 5) + resize(b, 5)");
  EXPECT_EQ(statement(1, s + t), "s xor t");
  EXPECT_EQ(statement(1, (s & t) | s), "(s and t) or s");
  EXPECT_EQ(statement(1, s & t & s), "s and t and s");
  EXPECT_EQ(statement(1, ~(s & t)), "not (s and t)");
  EXPECT_EQ(statement(1, Expr::or_all(a) & ~Expr::bit("b", 3)), "(or a) and (not b(3))");
  EXPECT_EQ(statement(6, Expr::concat({Expr::repeat(2, Expr::bit("a", 3)), a})), "unsigned'(1 downto 0 => a(3)) & a");
  EXPECT_EQ(statement(1, Expr::equal(a, Expr::constant(4, 3))), "'1' when a = \"0011\" else '0'");
  EXPECT_EQ(statement(1, Expr::at_least(Expr::as_signed(a), Expr::as_signed(b))),
            "'1' when signed(a) >= signed(b) else '0'");
  EXPECT_EQ(statement(1, Expr::at_least(s, t)), "'1' when (s or not t) = '1' else '0'");
  EXPECT_EQ(statement(1, Expr::at_least(Expr::as_signed(s), Expr::as_signed(t))),
            "'1' when (not s or t) = '1' else '0'");
  EXPECT_EQ(statement(4, Expr::choose(s, a, Expr::choose(t, b, Expr::constant(4, 0)))),
            "a when s = '1' else b when t = '1' else \"0000\"");
  EXPECT_EQ(statement(8, a * b), "a * b");
  EXPECT_EQ(statement(7, Expr::as_signed(a) * Expr::as_signed(s)), "unsigned(resize(signed(a) * signed'(0 => s), 7))");
  EXPECT_EQ(statement(4, Expr::as_signed(a) * Expr::as_signed(Expr::concat({Expr::constant(1, 0), s}))),
            "resize(unsigned(signed(a) * signed(unsigned'('0' & s))), 4)");
}

TEST(Vhdl, TablesListNoIndexTwice) {
  HdlModule m("m");
  m.input("x", 2);
  m.table("f", 3, 2, -1, {1, 2, 3, 4, 5, 6});
  m.wire("f_t", 3, Expr::call("f", Expr::name("x")));
  m.table("g", 1, 2, 1, {1});
  const std::string text = print_vhdl(m);
  EXPECT_NE(text.find("  type f_t_2 is array (0 to 3) of unsigned(2 downto 0);\n"
                      "  constant f : f_t_2 := (\n"
                      "    3 => \"001\",\n"
                      "    0 => \"010\",\n"
                      "    1 => \"011\",\n"
                      "    2 => \"100\");\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("    1 => '1',\n    others => 'X');\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  f_t <= f(to_integer(x));\n"), std::string::npos) << text;
}

TEST(Vhdl, PrintsAllItsParts) {
  HdlModule m("top");
  m.header("what it is");
  m.input("clk", 1);
  m.input("rst", 1);
  m.input("at3", 1);
  m.input("x", 4);
  m.output("y", 2);
  m.wire("w", 2, Expr::slice("x", 2, 1), "note");
  m.wire("bus", 2);
  m.comment("a part");
  m.instance("part", "u_part", {{"from", Expr::name("x")}, {"result", Expr::name("bus")}});
  m.reg("r", 2, Expr::name("w"));
  m.reg_loaded("h", 2, Expr::name("r"), "at3");
  m.reg_with_reset("v", 1, Expr::bit("x", 1));
  m.set_enable("ce");
  m.assign("y", Expr::name("r"));
  EXPECT_EQ(print_vhdl(m, {.port_types = {{"x", "work.top_types.x_t"}, {"y", "work.top_types.y_t"}}}),
            "-- what it is\n"
            "library ieee;\n"
            "use ieee.std_logic_1164.all;\n"
            "use ieee.numeric_std.all;\n"
            "\n"
            "entity top is\n"
            "  port (\n"
            "    clk : in  std_logic;\n"
            "    rst : in  std_logic;\n"
            "    at3 : in  std_logic;\n"
            "    x : in  work.top_types.x_t;\n"
            "    y : out work.top_types.y_t);\n"
            "end entity top;\n"
            "\n"
            "architecture rtl of top is\n"
            "  signal w : unsigned(1 downto 0);\n"
            "  signal \\bus\\ : unsigned(1 downto 0);\n"
            "  signal r : unsigned(1 downto 0);\n"
            "  signal h : unsigned(1 downto 0);\n"
            "  signal v : std_logic;\n"
            "begin\n"
            "  w <= unsigned(x(2 downto 1));  -- note\n"
            "  -- a part\n"
            "  u_part : entity work.part\n"
            "    port map (\n"
            "      from => unsigned(x),\n"
            "      result => \\bus\\);\n"
            "  y <= std_logic_vector(r);\n"
            "\n"
            "  process (clk)\n"
            "  begin\n"
            "    if rising_edge(clk) then\n"
            "      if ce = '1' then\n"
            "        r <= w;\n"
            "      end if;\n"
            "    end if;\n"
            "  end process;\n"
            "\n"
            "  process (clk)\n"
            "  begin\n"
            "    if rising_edge(clk) then\n"
            "      if ce = '1' and at3 = '1' then\n"
            "        h <= r;\n"
            "      end if;\n"
            "    end if;\n"
            "  end process;\n"
            "\n"
            "  process (clk)\n"
            "  begin\n"
            "    if rising_edge(clk) then\n"
            "      if rst = '1' then\n"
            "        v <= '0';\n"
            "      elsif ce = '1' then\n"
            "        v <= x(1);\n"
            "      end if;\n"
            "    end if;\n"
            "  end process;\n"
            "\n"
            "end architecture rtl;\n");
}

}  // namespace
}  // namespace weft::netlist
