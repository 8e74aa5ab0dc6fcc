// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/print_vhdl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "weft/diag/diag.h"

// One bit is std_logic, everything wider `unsigned`, so that sums are written as they are meant and numeric_std is the
// only library. Ports that have a type of their own (those of the top entity) are std_logic_vector and converted where
// they are read and driven.

namespace weft::netlist {

namespace {

using Kind = Expr::Kind;

// IEEE 1076-2008, 15.10; and the names that the printed text uses.
constexpr std::string_view kReserved =
    " abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body "
    "buffer bus case component configuration constant context cover default disconnect downto else elsif end entity "
    "exit fairness file for force function generate generic group guarded if impure in inertial inout is label library "
    "linkage literal loop map mod nand new next nor not null of on open or others out package parameter port postponed "
    "procedure process property protected pure range record register reject release rem report restrict "
    "restrict_guarantee return rol ror select sequence severity shared signal sla sll sra srl strong subtype then to "
    "transport type unaffected units until use variable view vmode vprop vunit wait when while with xnor xor "
    "ieee std work std_logic_1164 numeric_std std_logic std_logic_vector unsigned signed resize to_integer rising_edge "
    "natural integer boolean true false rtl ";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Printed text with what its surroundings need to know.
struct Text {
  std::string text;
  int width_bits = 1;
  bool atom = true;
  Kind kind = Kind::Name;  ///< of the outermost operator

  [[nodiscard]] std::string inside() const { return atom ? text : "(" + text + ")"; }
};

std::string type_text(int width_bits) {
  return width_bits == 1 ? std::string("std_logic") : fmt::format("unsigned({} downto 0)", width_bits - 1);
}

class VhdlPrinter {
 public:
  VhdlPrinter(const HdlModule& module, const VhdlOptions& options) : module_(module), options_(options) {
    for (const auto& port : module.ports()) widths_[port.name] = port.width_bits;
    for (const auto& item : module.items()) {
      if (const auto* wire = std::get_if<HdlModule::Wire>(&item)) widths_[wire->name] = wire->width_bits;
      if (const auto* reg = std::get_if<HdlModule::Reg>(&item)) widths_[reg->name] = reg->width_bits;
      if (const auto* table = std::get_if<HdlModule::Table>(&item)) widths_[table->name] = table->width_bits;
    }
    for (const auto& [name, width] : widths_) names_.insert(lower(name));
  }

  std::string print() {
    std::string text;
    for (const std::string& line : module_.headers()) text += line.empty() ? "--\n" : "-- " + vhdl_comment(line) + "\n";
    text += "library ieee;\nuse ieee.std_logic_1164.all;\nuse ieee.numeric_std.all;\n\n";
    const std::string entity = vhdl_identifier(module_.name());
    text += fmt::format("entity {} is\n  port (", entity);
    for (std::size_t i = 0; i < module_.ports().size(); ++i) {
      const auto& port = module_.ports()[i];
      const auto type = options_.port_types.find(port.name);
      text += fmt::format("{}\n    {} : {} {}", i == 0 ? "" : ";", vhdl_identifier(port.name),
                          port.is_output ? "out" : "in ",
                          type != options_.port_types.end() ? type->second : type_text(port.width_bits));
    }
    text += fmt::format(");\nend entity {0};\n\narchitecture rtl of {0} is\n", entity);
    for (const auto& item : module_.items()) text += declaration(item);
    text += "begin\n";
    for (const auto& item : module_.items()) text += statement(item);
    return text + registers() + "\nend architecture rtl;\n";
  }

 private:
  // --- expressions

  [[nodiscard]] int width_of(const std::string& name) const {
    const auto it = widths_.find(name);
    WEFT_CHECK(it != widths_.end(), "every name of an expression is declared");
    return it->second;
  }
  [[nodiscard]] bool is_vector_port(const std::string& name) const {
    return options_.port_types.count(name) != 0 && width_of(name) > 1;
  }

  [[nodiscard]] int width_of(const Expr& e) const {
    switch (e.kind()) {
      case Kind::Name:
      case Kind::Call:
        return width_of(e.name());
      case Kind::Slice:
        return e.high() - e.low() + 1;
      case Kind::Constant:
        return e.width_bits();
      case Kind::Concat: {
        int sum = 0;
        for (const Expr& part : e.operands()) sum += width_of(part);
        return sum;
      }
      case Kind::Repeat:
        return e.count() * width_of(e.operands()[0]);
      case Kind::Signed:
      case Kind::Not:
        return width_of(e.operands()[0]);
      case Kind::Add:
      case Kind::Subtract:
      case Kind::Multiply:
      case Kind::And:
      case Kind::Xor:
      case Kind::Or:
        return std::max(width_of(e.operands()[0]), width_of(e.operands()[1]));
      case Kind::Choose:
        return std::max(width_of(e.operands()[1]), width_of(e.operands()[2]));
      case Kind::AtLeast:
      case Kind::Equal:
      case Kind::OrAll:
      case Kind::AndAll:
        return 1;
    }
    return 1;
  }

  /// A vector whose type does not depend on its surroundings, as conversions need it.
  [[nodiscard]] std::string vector(const Expr& e) const {
    const Text x = print(e, width_of(e));
    if (x.width_bits == 1) return fmt::format("unsigned'(0 => {})", x.text);
    if (e.kind() == Kind::Concat || e.kind() == Kind::Constant) return fmt::format("unsigned'({})", x.text);
    return x.inside();
  }
  [[nodiscard]] std::string signed_vector(const Expr& e) const {
    const Expr& x = e.kind() == Kind::Signed ? e.operands()[0] : e;
    if (width_of(x) == 1) return fmt::format("signed'(0 => {})", print(x, 1).text);
    return fmt::format("signed({})", vector(x));
  }
  /// An operand of a sum or logic operator of this width.
  [[nodiscard]] Text extended(const Expr& e, int width_bits) const {
    const Kind kind = e.kind();
    const bool operates = kind == Kind::Not || kind == Kind::Add || kind == Kind::Subtract || kind == Kind::Multiply ||
                          kind == Kind::And || kind == Kind::Xor || kind == Kind::Or;
    if (operates || width_of(e) >= width_bits) return print(e, width_bits);
    return {fmt::format("resize({}, {})", vector(e), width_bits), width_bits};
  }

  [[nodiscard]] Text infix(const Expr& e, std::string_view op, int width_bits) const {
    const Text left = extended(e.operands()[0], width_bits);
    const Text right = extended(e.operands()[1], width_bits);
    // VHDL mixes no logic operators without parentheses; sums are read from the left.
    const bool sum = e.kind() == Kind::Add || e.kind() == Kind::Subtract;
    const bool chain = sum ? left.kind == Kind::Add || left.kind == Kind::Subtract : left.kind == e.kind();
    return {fmt::format("{} {} {}", chain ? left.text : left.inside(), op, right.inside()), width_bits, false,
            e.kind()};
  }

  [[nodiscard]] Text product(const Expr& e, int width_bits) const {
    const Expr& a = e.operands()[0];
    const Expr& b = e.operands()[1];
    const bool is_signed = a.kind() == Kind::Signed || b.kind() == Kind::Signed;
    const int full = width_of(a) + width_of(b);
    std::string text = is_signed ? fmt::format("unsigned({} * {})", signed_vector(a), signed_vector(b))
                                 : fmt::format("{} * {}", vector(a), vector(b));
    if (width_bits < full) {
      text = fmt::format("resize({}, {})", text, width_bits);
      if (width_bits == 1) text += "(0)";
    } else if (width_bits > full) {
      text = is_signed ? fmt::format("unsigned(resize({} * {}, {}))", signed_vector(a), signed_vector(b), width_bits)
                       : fmt::format("resize({}, {})", text, width_bits);
    } else if (!is_signed) {
      return {text, width_bits, false, Kind::Multiply};
    }
    return {text, width_bits};
  }

  [[nodiscard]] Text print(const Expr& e, int width_bits) const {
    const auto& operands = e.operands();
    switch (e.kind()) {
      case Kind::Name:
        if (is_vector_port(e.name()))
          return {fmt::format("unsigned({})", vhdl_identifier(e.name())), width_of(e.name())};
        return {vhdl_identifier(e.name()), width_of(e.name())};
      case Kind::Slice: {
        const std::string name = vhdl_identifier(e.name());
        if (e.high() == e.low()) return {fmt::format("{}({})", name, e.low())};
        const std::string part = fmt::format("{}({} downto {})", name, e.high(), e.low());
        return {is_vector_port(e.name()) ? fmt::format("unsigned({})", part) : part, width_of(e)};
      }
      case Kind::Constant:
        return {vhdl_constant(e.width_bits(), e.value()), e.width_bits()};
      case Kind::Concat: {
        std::string text;
        for (const Expr& part : operands)
          text.append(text.empty() ? "" : " & ").append(print(part, width_of(part)).inside());
        return {text, width_of(e), false, Kind::Concat};
      }
      case Kind::Repeat: {
        const Text part = print(operands[0], width_of(operands[0]));
        if (part.width_bits == 1)
          return {fmt::format("unsigned'({} downto 0 => {})", e.count() - 1, part.text), e.count()};
        std::string text;
        for (int i = 0; i < e.count(); ++i) text.append(text.empty() ? "" : " & ").append(part.inside());
        return {fmt::format("unsigned'({})", text), width_of(e)};
      }
      case Kind::Call:
        return {fmt::format("{}(to_integer({}))", vhdl_identifier(e.name()), vector(operands[0])), width_of(e)};
      case Kind::Signed:
        return print(operands[0], width_bits);
      case Kind::Not:
        return {"not " + extended(operands[0], width_bits).inside(), width_bits, false, Kind::Not};
      case Kind::Add:
        return infix(e, width_bits == 1 ? "xor" : "+", width_bits);
      case Kind::Subtract:
        return infix(e, width_bits == 1 ? "xor" : "-", width_bits);
      case Kind::Multiply:
        return product(e, width_bits);
      case Kind::And:
        return infix(e, "and", width_bits);
      case Kind::Xor:
        return infix(e, "xor", width_bits);
      case Kind::Or:
        return infix(e, "or", width_bits);
      case Kind::OrAll:
      case Kind::AndAll:
        if (width_of(operands[0]) == 1) return print(operands[0], 1);
        return {fmt::format("({} {})", e.kind() == Kind::OrAll ? "or" : "and", vector(operands[0])), 1};
      case Kind::AtLeast:
      case Kind::Equal:
      case Kind::Choose:
        break;
    }
    WEFT_CHECK(false, "VHDL has no choices and comparisons inside of expressions");
    return {};
  }

  [[nodiscard]] std::string condition(const Expr& e) const {
    if (e.kind() != Kind::AtLeast && e.kind() != Kind::Equal) return print(e, 1).inside() + " = '1'";
    const Expr& a = e.operands()[0];
    const Expr& b = e.operands()[1];
    const int width = std::max(width_of(a), width_of(b));
    if (e.kind() == Kind::Equal)
      return fmt::format("{} = {}", width == 1 ? print(a, 1).inside() : vector(a), print(b, width).inside());
    const bool is_signed = a.kind() == Kind::Signed || b.kind() == Kind::Signed;
    // In one bit, 1 is the larger code, or -1.
    if (width == 1) {
      const std::string left = print(a, 1).inside();
      const std::string right = print(b, 1).inside();
      return is_signed ? fmt::format("(not {} or {}) = '1'", left, right)
                       : fmt::format("({} or not {}) = '1'", left, right);
    }
    return is_signed ? fmt::format("{} >= {}", signed_vector(a), signed_vector(b))
                     : fmt::format("{} >= {}", vector(a), vector(b));
  }

  /// What stands behind <=.
  [[nodiscard]] std::string value(const Expr& e, int width_bits, bool to_vector_port = false) const {
    switch (e.kind()) {
      case Kind::Choose:
        return fmt::format("{} when {} else {}", value(e.operands()[1], width_bits, to_vector_port),
                           condition(e.operands()[0]), value(e.operands()[2], width_bits, to_vector_port));
      case Kind::AtLeast:
      case Kind::Equal:
        return fmt::format("'1' when {} else '0'", condition(e));
      default:
        break;
    }
    if (to_vector_port) return fmt::format("std_logic_vector({})", vector(e));
    return extended(e, width_bits).text;
  }

  // --- items

  /// A name that nothing in the module has.
  std::string fresh(const std::string& hint) {
    std::string name = hint;
    for (int i = 2; !names_.insert(lower(name)).second; ++i) name = fmt::format("{}_{}", hint, i);
    return vhdl_identifier(name);
  }

  std::string declaration(const HdlModule::Item& item) {
    if (const auto* wire = std::get_if<HdlModule::Wire>(&item))
      return fmt::format("  signal {} : {};\n", vhdl_identifier(wire->name), type_text(wire->width_bits));
    if (const auto* reg = std::get_if<HdlModule::Reg>(&item))
      return fmt::format("  signal {} : {};\n", vhdl_identifier(reg->name), type_text(reg->width_bits));
    if (const auto* table = std::get_if<HdlModule::Table>(&item)) return table_text(*table);
    return {};
  }

  std::string table_text(const HdlModule::Table& table) {
    WEFT_CHECK(table.index_width_bits <= 24, "the index of a table is narrow");
    const std::size_t size = std::size_t{1} << table.index_width_bits;
    const std::string type = fresh(table.name + "_t");
    std::string text = fmt::format("  type {} is array (0 to {}) of {};\n  constant {} : {} := (\n", type, size - 1,
                                   type_text(table.width_bits), vhdl_identifier(table.name), type);
    // Behind 2^index_width_bits the indices would come again; the first one counts.
    const std::size_t count = std::min(size, table.values.size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(static_cast<UInt>(table.first) + i) & (size - 1);
      const Expr value = Expr::constant(table.width_bits, table.values[i]);
      text += fmt::format("    {} => {}{}\n", index, vhdl_constant(table.width_bits, value.value()),
                          i + 1 < count || count < size ? "," : ");");
    }
    if (count < size) text += table.width_bits == 1 ? "    others => 'X');\n" : "    others => (others => 'X'));\n";
    return text;
  }

  std::string statement(const HdlModule::Item& item) const {
    if (const auto* comment = std::get_if<HdlModule::Comment>(&item))
      return "  -- " + vhdl_comment(comment->text) + "\n";
    if (const auto* wire = std::get_if<HdlModule::Wire>(&item)) {
      if (!wire->value) return {};
      return folded(fmt::format("  {} <= {};", vhdl_identifier(wire->name), value(*wire->value, wire->width_bits)), 6) +
             (wire->note.empty() ? "\n" : fmt::format("  -- {}\n", vhdl_comment(wire->note)));
    }
    if (const auto* assign = std::get_if<HdlModule::Assign>(&item)) {
      const std::string text = value(assign->value, width_of(assign->target), is_vector_port(assign->target));
      return folded(fmt::format("  {} <= {};", vhdl_identifier(assign->target), text), 6) + "\n";
    }
    const auto* instance = std::get_if<HdlModule::Instance>(&item);
    if (instance == nullptr) return {};
    std::string text = fmt::format("  {} : entity work.{}\n    port map (", vhdl_identifier(instance->name),
                                   vhdl_identifier(instance->module));
    for (std::size_t i = 0; i < instance->connections.size(); ++i) {
      const auto& [port, actual] = instance->connections[i];
      text += fmt::format("{}\n      {} => {}", i == 0 ? "" : ",", vhdl_identifier(port),
                          print(actual, width_of(actual)).text);
    }
    return text + ");\n";
  }

  std::string registers() const {
    std::string loads;
    std::map<std::string, std::string> conditional;  // by the bit that lets them load
    std::string clears;
    std::string loads_after_reset;
    const std::string enable = module_.enable().empty() ? "" : vhdl_identifier(module_.enable());
    for (const auto& item : module_.items()) {
      const auto* reg = std::get_if<HdlModule::Reg>(&item);
      if (reg == nullptr) continue;
      const std::string name = vhdl_identifier(reg->name);
      const std::string load = fmt::format("        {} <= {};\n", name, value(reg->next, reg->width_bits));
      if (!reg->load.empty()) {
        conditional[reg->load] += load;
      } else if (reg->with_reset) {
        clears += fmt::format("        {} <= {};\n", name, reg->width_bits == 1 ? "'0'" : "(others => '0')");
        loads_after_reset += load;
      } else {
        loads += enable.empty() ? load.substr(2) : load;
      }
    }
    std::string text;
    if (!loads.empty()) {
      text += "\n  process (clk)\n  begin\n    if rising_edge(clk) then\n";
      if (!enable.empty()) text += fmt::format("      if {} = '1' then\n", enable);
      text += loads;
      if (!enable.empty()) text += "      end if;\n";
      text += "    end if;\n  end process;\n";
    }
    for (const auto& [bit, statements] : conditional) {
      std::string condition = fmt::format("{} = '1'", vhdl_identifier(bit));
      if (!enable.empty()) condition = fmt::format("{} = '1' and {}", enable, condition);
      text += fmt::format(
          "\n  process (clk)\n  begin\n    if rising_edge(clk) then\n      if {} then\n{}      end if;\n    end if;\n"
          "  end process;\n",
          condition, statements);
    }
    if (!clears.empty()) {
      text += "\n  process (clk)\n  begin\n    if rising_edge(clk) then\n      if rst = '1' then\n" + clears;
      text += enable.empty() ? std::string("      else\n") : fmt::format("      elsif {} = '1' then\n", enable);
      text += loads_after_reset + "      end if;\n    end if;\n  end process;\n";
    }
    return text;
  }

  const HdlModule& module_;
  const VhdlOptions& options_;
  std::map<std::string, int> widths_;
  std::set<std::string> names_;
};

}  // namespace

std::string vhdl_identifier(std::string_view name) {
  const bool basic = !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0 &&
                     name.back() != '_' && name.find("__") == std::string_view::npos &&
                     kReserved.find(fmt::format(" {} ", lower(name))) == std::string_view::npos;
  return basic ? std::string(name) : fmt::format("\\{}\\", name);
}

std::string ghdl_verilog_name(std::string_view name) {
  return vhdl_identifier(name) == name ? lower(name) : std::string(name);
}

std::string vhdl_constant(int width_bits, UInt value) {
  const auto bit = [&](int i) { return i < 128 && (value >> i & 1) != 0; };
  if (width_bits == 1) return bit(0) ? "'1'" : "'0'";
  const bool hex = width_bits > 8 && width_bits % 4 == 0;
  std::string text = hex ? "x\"" : "\"";
  for (int i = width_bits - 1; i >= 0; i -= hex ? 4 : 1) {
    unsigned digit = 0;
    for (int b = 0; b < (hex ? 4 : 1); ++b) digit = digit << 1 | static_cast<unsigned>(bit(i - b));
    text.push_back("0123456789abcdef"[digit]);
  }
  text.push_back('"');
  return text;
}

std::string vhdl_comment(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(static_cast<unsigned char>(c) < 128 ? c : '?');
  return out;
}

std::string print_vhdl(const HdlModule& module, const VhdlOptions& options) {
  return VhdlPrinter(module, options).print();
}

}  // namespace weft::netlist
