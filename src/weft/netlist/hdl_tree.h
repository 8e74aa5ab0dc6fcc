// SPDX-License-Identifier: Apache-2.0
/// @file
/// A write-only tree of a hardware description: expressions and modules, in no language; print_verilog and print_vhdl
/// are its printers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
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

/// An expression over unsigned vectors of bits. A printer sets parentheses where its language needs them.
class Expr {
 public:
  enum class Kind : std::uint8_t {
    Name,
    Slice,
    Constant,
    Concat,
    Repeat,
    Call,
    Signed,
    Not,
    Add,
    Subtract,
    Multiply,
    And,
    Xor,
    Or,
    AtLeast,
    Equal,
    Choose,
    OrAll,
    AndAll
  };

  static Expr name(std::string text) { return Expr({.kind = Kind::Name, .name = std::move(text)}); }
  static Expr bit(const std::string& vector, int index) { return slice(vector, index, index); }
  static Expr slice(const std::string& vector, int high, int low);
  /// Sized constant, `value` modulo 2^width.
  static Expr constant(int width_bits, Int value);
  /// Most significant part first; nested concatenations are joined.
  static Expr concat(const std::vector<Expr>& parts);
  static Expr repeat(int count, const Expr& part);
  /// A table of the module.
  static Expr call(const std::string& table, const Expr& argument);
  /// The argument read as two's complement, as an operand of *, at_least.
  static Expr as_signed(const Expr& a) { return Expr({.kind = Kind::Signed, .operands = {a}}); }
  friend Expr operator~(const Expr& a) { return Expr({.kind = Kind::Not, .operands = {a}}); }
  friend Expr operator+(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Add, .operands = {a, b}}); }
  friend Expr operator-(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Subtract, .operands = {a, b}}); }
  friend Expr operator*(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Multiply, .operands = {a, b}}); }
  friend Expr operator&(const Expr& a, const Expr& b) { return Expr({.kind = Kind::And, .operands = {a, b}}); }
  friend Expr operator^(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Xor, .operands = {a, b}}); }
  friend Expr operator|(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Or, .operands = {a, b}}); }
  static Expr at_least(const Expr& a, const Expr& b) { return Expr({.kind = Kind::AtLeast, .operands = {a, b}}); }
  static Expr equal(const Expr& a, const Expr& b) { return Expr({.kind = Kind::Equal, .operands = {a, b}}); }
  static Expr choose(const Expr& select, const Expr& when_one, const Expr& when_zero) {
    return Expr({.kind = Kind::Choose, .operands = {select, when_one, when_zero}});
  }
  static Expr or_all(const Expr& a) { return Expr({.kind = Kind::OrAll, .operands = {a}}); }
  static Expr and_all(const Expr& a) { return Expr({.kind = Kind::AndAll, .operands = {a}}); }

  [[nodiscard]] Kind kind() const { return node_->kind; }
  [[nodiscard]] const std::string& name() const { return node_->name; }
  [[nodiscard]] int high() const { return node_->a; }
  [[nodiscard]] int low() const { return node_->b; }
  [[nodiscard]] int width_bits() const { return node_->a; }  ///< of a constant
  [[nodiscard]] int count() const { return node_->a; }       ///< of a repetition
  [[nodiscard]] UInt value() const { return node_->value; }
  [[nodiscard]] const std::vector<Expr>& operands() const { return node_->operands; }

 private:
  struct Node {
    Kind kind = Kind::Name;
    std::string name{};
    int a = 0;
    int b = 0;
    UInt value = 0;
    std::vector<Expr> operands{};
  };
  explicit Expr(Node node) : node_(std::make_shared<const Node>(std::move(node))) {}

  std::shared_ptr<const Node> node_;
};

/// One module. Items are kept in the order in which they were added, what registers load behind them.
class HdlModule {
 public:
  struct Port {
    std::string name;
    int width_bits = 1;
    bool is_output = false;
  };
  struct Comment {
    std::string text;
  };
  struct Wire {
    std::string name;
    int width_bits = 1;
    std::optional<Expr> value;  ///< none: driven by an instance
    std::string note;
  };
  struct Assign {
    std::string target;
    Expr value;
  };
  struct Table {
    std::string name;
    int width_bits = 1;
    int index_width_bits = 1;
    Int first = 0;
    std::vector<Int> values;
  };
  struct Instance {
    std::string module;
    std::string name;
    std::vector<std::pair<std::string, Expr>> connections;
    std::vector<std::pair<std::string, Expr>> parameters;
  };
  struct Reg {
    std::string name;
    int width_bits = 1;
    Expr next;
    bool with_reset = false;
    std::string load;  ///< the bit that lets it load; none: every edge
  };
  using Item = std::variant<Comment, Wire, Assign, Table, Instance, Reg>;

  explicit HdlModule(std::string name) : name_(std::move(name)) {}

  /// Lines above the module.
  void header(const std::string& line);
  void input(const std::string& port, int width_bits) { ports_.push_back({port, width_bits, false}); }
  void output(const std::string& port, int width_bits) { ports_.push_back({port, width_bits, true}); }
  void comment(const std::string& text);
  void wire(const std::string& wire, int width_bits, const Expr& value, std::string_view note = {});
  /// A wire driven by an instance.
  void wire(const std::string& wire, int width_bits) { items_.emplace_back(Wire{wire, width_bits, {}, {}}); }
  void assign(const std::string& target, const Expr& value) { items_.emplace_back(Assign{target, value}); }
  /// A function of an index: `values` from `first` on, other indices undefined.
  void table(const std::string& name, int width_bits, int index_width_bits, Int first, const std::vector<Int>& values) {
    items_.emplace_back(Table{name, width_bits, index_width_bits, first, values});
  }
  void instance(const std::string& module, const std::string& instance,
                const std::vector<std::pair<std::string, Expr>>& connections,
                const std::vector<std::pair<std::string, Expr>>& parameters = {}) {
    items_.emplace_back(Instance{module, instance, connections, parameters});
  }
  /// A register loaded on every rising edge of clk (while `enable`, when set_enable was called).
  void reg(const std::string& reg, int width_bits, const Expr& next) {
    items_.emplace_back(Reg{reg, width_bits, next, false, {}});
  }
  /// The same, loaded only on edges at which the bit `load` is high.
  void reg_loaded(const std::string& reg, int width_bits, const Expr& next, const std::string& load) {
    items_.emplace_back(Reg{reg, width_bits, next, false, load});
  }
  /// The same, cleared while `rst` is high.
  void reg_with_reset(const std::string& reg, int width_bits, const Expr& next) {
    items_.emplace_back(Reg{reg, width_bits, next, true, {}});
  }
  void set_enable(const std::string& enable) { enable_ = enable; }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& headers() const { return header_; }
  [[nodiscard]] const std::vector<Port>& ports() const { return ports_; }
  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  [[nodiscard]] const std::string& enable() const { return enable_; }

 private:
  std::string name_;
  std::vector<std::string> header_;
  std::vector<Port> ports_;
  std::vector<Item> items_;
  std::string enable_;
};

/// Breaks a long line at blanks, further lines indented; for languages that ignore line ends.
std::string folded(const std::string& text, std::size_t indent);

}  // namespace weft::netlist
