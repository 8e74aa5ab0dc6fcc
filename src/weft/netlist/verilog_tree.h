// SPDX-License-Identifier: Apache-2.0
/// @file
/// A write-only tree of Verilog-2001: expressions, modules and their printer.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/fixed/integer.h"

namespace weft::netlist {

/// Whether Verilog (up to SystemVerilog 2017, so that mixed projects work) reserves the word.
bool is_verilog_keyword(std::string_view word);
/// `text` as a legal identifier: other characters become "_", a leading digit or a keyword gets "m_" in front.
std::string legal_identifier(std::string_view text);

/// Gives out legal names, each once (letter case does not make names different: they also become file names).
class NameScope {
 public:
  /// `hint` made legal, with _2, _3 ... behind it when taken.
  std::string unique(std::string_view hint);

 private:
  std::set<std::string> taken_;
};

/// An expression; parentheses appear where the precedence of its parts asks for them.
class Expr {
 public:
  static Expr name(std::string text) { return {std::move(text), kAtom}; }
  static Expr bit(const std::string& vector, int index);
  static Expr slice(const std::string& vector, int high, int low);
  /// Sized constant, `value` modulo 2^width.
  static Expr constant(int width_bits, Int value);
  /// Most significant part first, as Verilog writes it; nested concatenations are joined.
  static Expr concat(const std::vector<Expr>& parts);
  static Expr repeat(int count, const Expr& part);
  static Expr call(const std::string& function, const Expr& argument);
  friend Expr operator~(const Expr& a) { return unary("~", a); }
  friend Expr operator+(const Expr& a, const Expr& b) { return binary(a, " + ", b, 9); }
  friend Expr operator-(const Expr& a, const Expr& b) { return binary(a, " - ", b, 9); }
  friend Expr operator*(const Expr& a, const Expr& b) { return binary(a, " * ", b, 10); }
  friend Expr operator&(const Expr& a, const Expr& b) { return binary(a, " & ", b, 5); }
  friend Expr operator^(const Expr& a, const Expr& b) { return binary(a, " ^ ", b, 4); }
  friend Expr operator|(const Expr& a, const Expr& b) { return binary(a, " | ", b, 3); }
  static Expr at_least(const Expr& a, const Expr& b) { return binary(a, " >= ", b, 7); }
  static Expr equal(const Expr& a, const Expr& b) { return binary(a, " == ", b, 6); }
  static Expr choose(const Expr& select, const Expr& when_one, const Expr& when_zero);
  static Expr or_all(const Expr& a) { return unary("|", a); }
  static Expr and_all(const Expr& a) { return unary("&", a); }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static constexpr int kAtom = 12;
  static constexpr int kUnary = 11;
  static constexpr int kChoose = 1;
  Expr(std::string text, int precedence) : text_(std::move(text)), precedence_(precedence) {}
  static Expr unary(std::string_view op, const Expr& a);
  static Expr binary(const Expr& a, std::string_view op, const Expr& b, int precedence);
  [[nodiscard]] std::string inside(int precedence) const;

  std::string text_;
  int precedence_;
  bool is_concat_ = false;
};

/// One module. Items are printed in the order in which they were added, registers behind them in one always block.
class VerilogModule {
 public:
  explicit VerilogModule(std::string name) : name_(std::move(name)) {}

  /// Lines above the module.
  void header(std::string line) { header_.push_back(std::move(line)); }
  void input(const std::string& port, int width_bits);
  void output(const std::string& port, int width_bits);
  void comment(const std::string& text);
  void wire(const std::string& wire, int width_bits, const Expr& value, std::string_view note = {});
  /// A wire driven by an instance.
  void wire(const std::string& wire, int width_bits);
  void assign(const std::string& target, const Expr& value);
  /// function [width-1:0] name(x): a case over all `values` from `first` on, other indices undefined.
  void table(const std::string& function, int width_bits, int index_width_bits, Int first,
             const std::vector<Int>& values);
  void instance(const std::string& module, const std::string& instance,
                const std::vector<std::pair<std::string, Expr>>& connections);
  /// A register loaded on every rising edge of clk (while `enable`, when set_enable was called).
  void reg(const std::string& reg, int width_bits, const Expr& next);
  /// The same, cleared while `rst` is high.
  void reg_with_reset(const std::string& reg, int width_bits, const Expr& next);
  void set_enable(const std::string& enable) { enable_ = enable; }
  [[nodiscard]] bool has_registers() const { return !next_.empty() || !reset_.empty(); }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string print() const;

 private:
  void port(std::string_view direction, const std::string& port, int width_bits);

  std::string name_;
  std::vector<std::string> header_;
  std::vector<std::string> ports_;
  std::vector<std::string> items_;
  std::vector<std::pair<std::string, std::string>> next_;
  std::vector<std::pair<std::string, std::string>> reset_;
  std::string enable_;
};

}  // namespace weft::netlist
