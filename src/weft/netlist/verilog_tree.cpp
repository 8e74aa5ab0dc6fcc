// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/verilog_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

// IEEE 1800-2017 annex B, each word between blanks.
constexpr std::string_view kKeywords =
    " accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin "
    "bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos "
    "config const constraint context continue cover covergroup coverpoint cross deassign default defparam design "
    "disable dist do edge else end endcase endchecker endclass endclocking endconfig endfunction endgenerate "
    "endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence endspecify "
    "endtable endtask enum event eventually expect export extends extern final first_match for force foreach "
    "forever fork forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins "
    "implements implies import incdir include initial inout input inside instance int integer interconnect "
    "interface intersect join join_any join_none large let liblist library local localparam logic longint "
    "macromodule matches medium modport module nand negedge nettype new nexttime nmos nor noshowcancelled not "
    "notif0 notif1 null or output package packed parameter pmos posedge primitive priority program property "
    "protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase "
    "randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran "
    "rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint "
    "shortreal showcancelled signed small soft solve specify specparam static string strong strong0 strong1 "
    "struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time "
    "timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union unique "
    "unique0 unsigned until until_with untyped use uwire var vectored virtual void wait wait_order wand weak "
    "weak0 weak1 while wildcard wire with within wor xnor xor ";

std::string range_text(int width_bits) { return width_bits == 1 ? "" : fmt::format("[{}:0] ", width_bits - 1); }

/// Breaks a long right-hand side at blanks that stand outside of brackets' deepest parts; Verilog ignores line ends.
std::string folded(const std::string& text, std::size_t indent) {
  constexpr std::size_t kColumns = 118;
  if (text.size() <= kColumns) return text;
  std::string out;
  std::size_t column = 0;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find(' ', begin + 1);
    if (end == std::string::npos) end = text.size();
    if (column + (end - begin) > kColumns && column > indent) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      if (text[begin] == ' ') ++begin;
    }
    out.append(text, begin, end - begin);
    column += end - begin;
    begin = end;
  }
  return out;
}

}  // namespace

bool is_verilog_keyword(std::string_view word) {
  return kKeywords.find(fmt::format(" {} ", word)) != std::string_view::npos;
}

std::string legal_identifier(std::string_view text) {
  std::string name;
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    name += (std::isalnum(u) != 0 && u < 128) || c == '_' ? c : '_';
  }
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0 || is_verilog_keyword(name)) {
    name = "m_" + name;
  }
  return name;
}

std::string NameScope::unique(std::string_view hint) {
  const std::string base = legal_identifier(hint);
  const auto lower = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
  };
  std::string name = base;
  for (int i = 2; !taken_.insert(lower(name)).second; ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

Expr Expr::bit(const std::string& vector, int index) { return {fmt::format("{}[{}]", vector, index), kAtom}; }

Expr Expr::slice(const std::string& vector, int high, int low) {
  if (high == low) return bit(vector, low);
  return {fmt::format("{}[{}:{}]", vector, high, low), kAtom};
}

Expr Expr::constant(int width_bits, Int value) {
  auto bits = static_cast<UInt>(value);
  if (width_bits < 128) bits &= (UInt{1} << width_bits) - 1;
  if (width_bits <= 32) return {fmt::format("{}'d{}", width_bits, static_cast<std::uint64_t>(bits)), kAtom};
  const auto high = static_cast<std::uint64_t>(bits >> 64);
  const auto low = static_cast<std::uint64_t>(bits);
  if (high == 0) return {fmt::format("{}'h{:x}", width_bits, low), kAtom};
  return {fmt::format("{}'h{:x}{:016x}", width_bits, high, low), kAtom};
}

Expr Expr::concat(const std::vector<Expr>& parts) {
  WEFT_CHECK(!parts.empty(), "a concatenation has parts");
  if (parts.size() == 1) return parts[0];
  std::string text = "{";
  for (const Expr& part : parts) {
    if (text.size() > 1) text += ", ";
    text += part.is_concat_ ? part.text_.substr(1, part.text_.size() - 2) : part.text_;
  }
  Expr result(text + "}", kAtom);
  result.is_concat_ = true;
  return result;
}

Expr Expr::repeat(int count, const Expr& part) {
  if (count == 1) return part;
  return {fmt::format("{{{}{{{}}}}}", count, part.text_), kAtom};
}

Expr Expr::call(const std::string& function, const Expr& argument) {
  return {fmt::format("{}({})", function, argument.text_), kAtom};
}

std::string Expr::inside(int precedence) const { return precedence_ < precedence ? "(" + text_ + ")" : text_; }

Expr Expr::unary(std::string_view op, const Expr& a) { return {fmt::format("{}{}", op, a.inside(kAtom)), kUnary}; }

Expr Expr::binary(const Expr& a, std::string_view op, const Expr& b, int precedence) {
  // The right side of + - * binds tighter so that a - (b + c) keeps its meaning.
  return {fmt::format("{}{}{}", a.inside(precedence), op, b.inside(precedence >= 6 ? precedence + 1 : precedence)),
          precedence};
}

Expr Expr::choose(const Expr& select, const Expr& when_one, const Expr& when_zero) {
  return {
      fmt::format("{} ? {} : {}", select.inside(kChoose + 1), when_one.inside(kChoose + 1), when_zero.inside(kChoose)),
      kChoose};
}

void VerilogModule::port(std::string_view direction, const std::string& port, int width_bits) {
  ports_.push_back(fmt::format("{} wire {}{}", direction, range_text(width_bits), port));
}

void VerilogModule::input(const std::string& name, int width_bits) { port("input ", name, width_bits); }
void VerilogModule::output(const std::string& name, int width_bits) { port("output", name, width_bits); }

void VerilogModule::comment(const std::string& text) { items_.push_back("  // " + text); }

void VerilogModule::wire(const std::string& wire, int width_bits, const Expr& value, std::string_view note) {
  std::string line = folded(fmt::format("  wire {}{} = {};", range_text(width_bits), wire, value.text()), 6);
  if (!note.empty()) line += fmt::format("  // {}", note);
  items_.push_back(std::move(line));
}

void VerilogModule::wire(const std::string& wire, int width_bits) {
  items_.push_back(fmt::format("  wire {}{};", range_text(width_bits), wire));
}

void VerilogModule::assign(const std::string& target, const Expr& value) {
  items_.push_back(folded(fmt::format("  assign {} = {};", target, value.text()), 6));
}

void VerilogModule::table(const std::string& function, int width_bits, int index_width_bits, Int first,
                          const std::vector<Int>& values) {
  std::string text = fmt::format("  function {}{};\n    input {}x;\n    case (x)\n", range_text(width_bits), function,
                                 range_text(index_width_bits));
  for (std::size_t i = 0; i < values.size(); ++i) {
    text += fmt::format("      {}: {} = {};\n", Expr::constant(index_width_bits, first + static_cast<Int>(i)).text(),
                        function, Expr::constant(width_bits, values[i]).text());
  }
  text += fmt::format("      default: {} = {{{}{{1'bx}}}};\n    endcase\n  endfunction", function, width_bits);
  items_.push_back(std::move(text));
}

void VerilogModule::instance(const std::string& module, const std::string& instance,
                             const std::vector<std::pair<std::string, Expr>>& connections) {
  std::string text = fmt::format("  {} {} (", module, instance);
  for (std::size_t i = 0; i < connections.size(); ++i) {
    text += fmt::format("{}\n    .{}({})", i == 0 ? "" : ",", connections[i].first, connections[i].second.text());
  }
  items_.push_back(text + ");");
}

void VerilogModule::reg(const std::string& reg, int width_bits, const Expr& next) {
  items_.push_back(fmt::format("  reg {}{};", range_text(width_bits), reg));
  next_.emplace_back(reg, next.text());
}

void VerilogModule::reg_with_reset(const std::string& reg, int width_bits, const Expr& next) {
  items_.push_back(fmt::format("  reg {}{};", range_text(width_bits), reg));
  reset_.emplace_back(reg, fmt::format("{} <= {};", reg, next.text()));
  reset_.back().first = fmt::format("{} <= {}'d0;", reg, width_bits);
}

std::string VerilogModule::print() const {
  std::string text;
  for (const std::string& line : header_) text += line.empty() ? "//\n" : "// " + line + "\n";
  text += fmt::format("module {} (", name_);
  for (std::size_t i = 0; i < ports_.size(); ++i) text += fmt::format("{}\n  {}", i == 0 ? "" : ",", ports_[i]);
  text += ");\n\n";
  for (const std::string& item : items_) text += item + "\n";
  if (!next_.empty()) {
    text += enable_.empty() ? "\n  always @(posedge clk) begin\n"
                            : fmt::format("\n  always @(posedge clk) if ({}) begin\n", enable_);
    for (const auto& [reg, next] : next_) text += fmt::format("    {} <= {};\n", reg, next);
    text += "  end\n";
  }
  if (!reset_.empty()) {
    text += "\n  always @(posedge clk) begin\n    if (rst) begin\n";
    for (const auto& [clear, load] : reset_) text += "      " + clear + "\n";
    text += enable_.empty() ? "    end else begin\n" : fmt::format("    end else if ({}) begin\n", enable_);
    for (const auto& [clear, load] : reset_) text += "      " + load + "\n";
    text += "    end\n  end\n";
  }
  return text + "\nendmodule\n";
}

}  // namespace weft::netlist
