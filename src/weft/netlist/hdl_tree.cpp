// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/hdl_tree.h"

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

/// Names come from model files: what would end a comment's line does not reach one.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return text;
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

Expr Expr::slice(const std::string& vector, int high, int low) {
  return Expr({.kind = Kind::Slice, .name = vector, .a = high, .b = low});
}

Expr Expr::constant(int width_bits, Int value) {
  auto bits = static_cast<UInt>(value);
  if (width_bits < 128) bits &= (UInt{1} << width_bits) - 1;
  return Expr({.kind = Kind::Constant, .a = width_bits, .value = bits});
}

Expr Expr::concat(const std::vector<Expr>& parts) {
  WEFT_CHECK(!parts.empty(), "a concatenation has parts");
  if (parts.size() == 1) return parts[0];
  std::vector<Expr> joined;
  for (const Expr& part : parts) {
    if (part.kind() == Kind::Concat)
      joined.insert(joined.end(), part.operands().begin(), part.operands().end());
    else
      joined.push_back(part);
  }
  return Expr({.kind = Kind::Concat, .operands = std::move(joined)});
}

Expr Expr::repeat(int count, const Expr& part) {
  if (count == 1) return part;
  return Expr({.kind = Kind::Repeat, .a = count, .operands = {part}});
}

Expr Expr::call(const std::string& table, const Expr& argument) {
  return Expr({.kind = Kind::Call, .name = table, .operands = {argument}});
}

void HdlModule::header(const std::string& line) { header_.push_back(one_line(line)); }

void HdlModule::comment(const std::string& text) { items_.emplace_back(Comment{one_line(text)}); }

void HdlModule::wire(const std::string& wire, int width_bits, const Expr& value, std::string_view note) {
  items_.emplace_back(Wire{wire, width_bits, value, one_line(std::string(note))});
}

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

}  // namespace weft::netlist
