// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/print_verilog.h"

#include <fmt/format.h>

#include <map>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

constexpr int kAtom = 12;
constexpr int kUnary = 11;
constexpr int kChoose = 1;

struct Text {
  std::string text;
  int precedence = kAtom;

  [[nodiscard]] std::string inside(int outer) const { return precedence < outer ? "(" + text + ")" : text; }
};

Text print(const Expr& expression);

Text unary(std::string_view op, const Expr& expression) {
  return {fmt::format("{}{}", op, print(expression.operands()[0]).inside(kAtom)), kUnary};
}

Text binary(const Expr& expression, std::string_view op, int precedence) {
  // The right side of + - * binds tighter so that a - (b + c) keeps its meaning.
  return {fmt::format("{} {} {}", print(expression.operands()[0]).inside(precedence), op,
                      print(expression.operands()[1]).inside(precedence >= 6 ? precedence + 1 : precedence)),
          precedence};
}

std::string constant(int width_bits, UInt value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  const auto low = static_cast<std::uint64_t>(value);
  if (width_bits <= 32) return fmt::format("{}'d{}", width_bits, low);
  if (high == 0) return fmt::format("{}'h{:x}", width_bits, low);
  return fmt::format("{}'h{:x}{:016x}", width_bits, high, low);
}

Text print(const Expr& expression) {
  using Kind = Expr::Kind;
  const auto& operands = expression.operands();
  switch (expression.kind()) {
    case Kind::Name:
      return {expression.name()};
    case Kind::Slice:
      if (expression.high() == expression.low()) return {fmt::format("{}[{}]", expression.name(), expression.low())};
      return {fmt::format("{}[{}:{}]", expression.name(), expression.high(), expression.low())};
    case Kind::Constant:
      return {constant(expression.width_bits(), expression.value())};
    case Kind::Concat: {
      std::string text = "{";
      for (const Expr& part : operands) text.append(text.size() > 1 ? ", " : "").append(print(part).text);
      return {text + "}"};
    }
    case Kind::Repeat:
      return {fmt::format("{{{}{{{}}}}}", expression.count(), print(operands[0]).text)};
    case Kind::Call:
      return {fmt::format("{}({})", expression.name(), print(operands[0]).text)};
    case Kind::Signed:
      return {fmt::format("$signed({})", print(operands[0]).text)};
    case Kind::Not:
      return unary("~", expression);
    case Kind::OrAll:
      return unary("|", expression);
    case Kind::AndAll:
      return unary("&", expression);
    case Kind::Add:
      return binary(expression, "+", 9);
    case Kind::Subtract:
      return binary(expression, "-", 9);
    case Kind::Multiply:
      return binary(expression, "*", 10);
    case Kind::And:
      return binary(expression, "&", 5);
    case Kind::Xor:
      return binary(expression, "^", 4);
    case Kind::Or:
      return binary(expression, "|", 3);
    case Kind::AtLeast:
      return binary(expression, ">=", 7);
    case Kind::Equal:
      return binary(expression, "==", 6);
    case Kind::Choose:
      return {fmt::format("{} ? {} : {}", print(operands[0]).inside(kChoose + 1),
                          print(operands[1]).inside(kChoose + 1), print(operands[2]).inside(kChoose)),
              kChoose};
  }
  WEFT_CHECK(false, "every kind of expression is printed");
  return {};
}

std::string range_text(int width_bits) { return width_bits == 1 ? "" : fmt::format("[{}:0] ", width_bits - 1); }

struct ItemPrinter {
  std::string& text;

  void operator()(const HdlModule::Comment& item) const { text += "  // " + item.text + "\n"; }
  void operator()(const HdlModule::Wire& item) const {
    if (!item.value) {
      text += fmt::format("  wire {}{};\n", range_text(item.width_bits), item.name);
      return;
    }
    text +=
        folded(fmt::format("  wire {}{} = {};", range_text(item.width_bits), item.name, verilog_text(*item.value)), 6);
    text += item.note.empty() ? "\n" : fmt::format("  // {}\n", item.note);
  }
  void operator()(const HdlModule::Assign& item) const {
    text += folded(fmt::format("  assign {} = {};", item.target, verilog_text(item.value)), 6) + "\n";
  }
  void operator()(const HdlModule::Table& item) const {
    text += fmt::format("  function {}{};\n    input {}x;\n    case (x)\n", range_text(item.width_bits), item.name,
                        range_text(item.index_width_bits));
    for (std::size_t i = 0; i < item.values.size(); ++i) {
      text += fmt::format("      {}: {} = {};\n",
                          verilog_text(Expr::constant(item.index_width_bits, item.first + static_cast<Int>(i))),
                          item.name, verilog_text(Expr::constant(item.width_bits, item.values[i])));
    }
    text +=
        fmt::format("      default: {} = {{{}{{1'bx}}}};\n    endcase\n  endfunction\n", item.name, item.width_bits);
  }
  void operator()(const HdlModule::Instance& item) const {
    std::string parameters;
    for (const auto& [parameter, value] : item.parameters)
      parameters += fmt::format("{}.{}({})", parameters.empty() ? "" : ", ", parameter, verilog_text(value));
    if (!parameters.empty()) parameters = fmt::format(" #({})", parameters);
    text += fmt::format("  {}{} {} (", item.module, parameters, item.name);
    for (std::size_t i = 0; i < item.connections.size(); ++i) {
      const auto& [port, value] = item.connections[i];
      text += fmt::format("{}\n    .{}({})", i == 0 ? "" : ",", port, verilog_text(value));
    }
    text += ");\n";
  }
  void operator()(const HdlModule::Reg& item) const {
    text += fmt::format("  reg {}{};\n", range_text(item.width_bits), item.name);
  }
};

std::string registers(const HdlModule& module) {
  const std::string& enable = module.enable();
  std::string loads;
  std::map<std::string, std::string> conditional;  // by the bit that lets them load
  std::string clears;
  std::string loads_after_reset;
  for (const auto& item : module.items()) {
    const auto* reg = std::get_if<HdlModule::Reg>(&item);
    if (reg == nullptr) continue;
    const std::string load = fmt::format("{} <= {};\n", reg->name, verilog_text(reg->next));
    if (!reg->load.empty()) {
      conditional[reg->load] += "    " + load;
      continue;
    }
    if (reg->with_reset) {
      clears += fmt::format("      {} <= {}'d0;\n", reg->name, reg->width_bits);
      loads_after_reset += "      " + load;
    } else {
      loads += "    " + load;
    }
  }
  std::string text;
  if (!loads.empty()) {
    text += enable.empty() ? std::string("\n  always @(posedge clk) begin\n")
                           : fmt::format("\n  always @(posedge clk) if ({}) begin\n", enable);
    text += loads + "  end\n";
  }
  for (const auto& [bit, statements] : conditional) {
    const std::string condition = enable.empty() ? bit : fmt::format("{} && {}", enable, bit);
    text += fmt::format("\n  always @(posedge clk) if ({}) begin\n{}  end\n", condition, statements);
  }
  if (!clears.empty()) {
    text += "\n  always @(posedge clk) begin\n    if (rst) begin\n" + clears;
    text += enable.empty() ? std::string("    end else begin\n") : fmt::format("    end else if ({}) begin\n", enable);
    text += loads_after_reset + "    end\n  end\n";
  }
  return text;
}

}  // namespace

std::string verilog_text(const Expr& expression) { return print(expression).text; }

std::string print_verilog(const HdlModule& module) {
  std::string text;
  for (const std::string& line : module.headers()) text += line.empty() ? "//\n" : "// " + line + "\n";
  text += fmt::format("module {} (", module.name());
  for (std::size_t i = 0; i < module.ports().size(); ++i) {
    const HdlModule::Port& port = module.ports()[i];
    text += fmt::format("{}\n  {} wire {}{}", i == 0 ? "" : ",", port.is_output ? "output" : "input ",
                        range_text(port.width_bits), port.name);
  }
  text += ");\n\n";
  for (const auto& item : module.items()) std::visit(ItemPrinter{text}, item);
  return text + registers(module) + "\nendmodule\n";
}

}  // namespace weft::netlist
