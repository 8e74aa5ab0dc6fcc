// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/lut_form.h"

#include <algorithm>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

constexpr std::size_t kInputs = 6;
constexpr std::size_t kPairInputs = 5;

std::uint64_t mask_of(std::size_t inputs) {
  return inputs >= kInputs ? ~std::uint64_t{0} : (std::uint64_t{1} << (std::size_t{1} << inputs)) - 1;
}

/// Value of the function where input j is bit j of `code`.
bool at(const BitFunction& f, std::size_t code) { return (f.table >> code & 1) != 0; }

/// The same function of the inputs that it depends on, in order.
BitFunction reduced(const BitFunction& f) {
  BitFunction out = f;
  for (std::size_t j = out.inputs.size(); j-- > 0;) {
    const std::size_t codes = std::size_t{1} << out.inputs.size();
    bool depends = false;
    for (std::size_t code = 0; code < codes && !depends; ++code) {
      depends = at(out, code) != at(out, code ^ (std::size_t{1} << j));
    }
    if (depends) continue;
    std::uint64_t table = 0;
    const std::size_t low = (std::size_t{1} << j) - 1;
    for (std::size_t code = 0; code < codes / 2; ++code) {
      const std::size_t whole = (code & low) | ((code & ~low) << 1);
      if (at(out, whole)) table |= std::uint64_t{1} << code;
    }
    out.table = table;
    out.inputs.erase(out.inputs.begin() + static_cast<std::ptrdiff_t>(j));
  }
  return out;
}

/// The table of f over `inputs`, which contain its own.
std::uint64_t table_over(const BitFunction& f, const std::vector<LutInput>& inputs) {
  std::vector<std::size_t> position;
  for (const LutInput& input : f.inputs) {
    position.push_back(static_cast<std::size_t>(std::find(inputs.begin(), inputs.end(), input) - inputs.begin()));
  }
  std::uint64_t table = 0;
  for (std::size_t code = 0; code < std::size_t{1} << inputs.size(); ++code) {
    std::size_t own = 0;
    for (std::size_t j = 0; j < position.size(); ++j) own |= (code >> position[j] & 1) << j;
    if (at(f, own)) table |= std::uint64_t{1} << code;
  }
  return table;
}

std::vector<LutInput> united(const std::vector<LutInput>& a, const std::vector<LutInput>& b) {
  std::vector<LutInput> both;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

/// A function that stands in a table, with the bits that it drives.
struct Wanted {
  BitFunction function;
  std::vector<std::size_t> bits;
  std::vector<bool> inverted;
};

}  // namespace

LutForm lut_form(const std::vector<BitFunction>& functions) {
  LutForm form;
  form.bits.resize(functions.size());
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    WEFT_CHECK(
        functions[i].inputs.size() <= kInputs && std::is_sorted(functions[i].inputs.begin(), functions[i].inputs.end()),
        "a function of up to six inputs in order");
    const BitFunction f = reduced(functions[i]);
    LutForm::Bit& bit = form.bits[i];
    if (f.inputs.size() <= 1) {
      bit.source = f.inputs.empty() ? LutForm::Bit::Source::Constant : LutForm::Bit::Source::Input;
      if (!f.inputs.empty()) bit.input = f.inputs[0];
      bit.invert = at(f, 0);
      continue;
    }
    bit.source = LutForm::Bit::Source::Lut;
    const std::uint64_t complement = ~f.table & mask_of(f.inputs.size());
    const auto same = std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& w) {
      return w.function.inputs == f.inputs && (w.function.table == f.table || w.function.table == complement);
    });
    if (same != wanted.end()) {
      same->bits.push_back(i);
      same->inverted.push_back(same->function.table != f.table);
    } else {
      wanted.push_back({f, {i}, {false}});
    }
  }
  // Each function with the first later one that it can share with, those with most inputs in common first.
  std::vector<bool> placed(wanted.size(), false);
  const auto place = [&](std::size_t index, bool is_second) {
    placed[index] = true;
    for (std::size_t k = 0; k < wanted[index].bits.size(); ++k) {
      LutForm::Bit& bit = form.bits[wanted[index].bits[k]];
      bit.lut = form.luts.size();
      bit.is_second = is_second;
      bit.invert = wanted[index].inverted[k];
    }
  };
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (placed[i]) continue;
    std::size_t partner = wanted.size();
    std::size_t fewest = kPairInputs + 1;
    for (std::size_t j = i + 1; j < wanted.size(); ++j) {
      if (placed[j]) continue;
      const std::size_t inputs = united(wanted[i].function.inputs, wanted[j].function.inputs).size();
      if (inputs >= fewest) continue;
      fewest = inputs;
      partner = j;
    }
    LutForm::Lut lut;
    place(i, false);
    if (partner == wanted.size()) {
      lut.inputs = wanted[i].function.inputs;
      lut.table = wanted[i].function.table;
    } else {
      place(partner, true);
      lut.is_pair = true;
      lut.inputs = united(wanted[i].function.inputs, wanted[partner].function.inputs);
      lut.table = table_over(wanted[i].function, lut.inputs) << 32 | table_over(wanted[partner].function, lut.inputs);
    }
    form.luts.push_back(std::move(lut));
  }
  return form;
}

namespace {

/// x >= threshold: of the bits themselves where two decide, else the comparison as one input.
BitFunction comparison(const Cell& x, Int threshold, int as_input) {
  const int low = threshold == 0 ? x.width_bits - 1 : fixed::trailing_zeros(threshold);
  const int bits = x.width_bits - low;
  if (bits > 2) return {{{as_input, 0}}, 2};
  BitFunction f;
  for (int j = 0; j < bits; ++j) f.inputs.push_back({0, low + j});
  for (Int code = 0; code < Int{1} << bits; ++code) {
    const Int value = x.is_signed && (code >> (bits - 1)) != 0 ? code - (Int{1} << bits) : code;
    if (value << low >= threshold) f.table |= std::uint64_t{1} << static_cast<int>(code);
  }
  return f;
}

}  // namespace

std::optional<LutForm> lut_form(const Netlist& netlist, const Cell& cell, UInt used) {
  const auto operand = [&](std::size_t i) -> const Cell& { return netlist.at(cell.terms[i].net); };
  // Bit i of an operand, the sign or zeros above: a constant, or an input.
  const auto bit_of = [&](std::size_t term, int i) -> BitFunction {
    const Cell& x = operand(term);
    if (x.op == Op::Constant) return {{}, static_cast<std::uint64_t>(x.constant >> std::min(i, 127) & 1)};
    if (i >= x.width_bits && !x.is_signed) return {};
    return {{{static_cast<int>(term), std::min(i, x.width_bits - 1)}}, 2};
  };
  // choose ? one : zero, each a constant or one input.
  const auto choice = [&](const BitFunction& choose, const BitFunction& one, const BitFunction& zero) {
    BitFunction f{united(united(choose.inputs, one.inputs), zero.inputs), 0};
    const std::uint64_t c = table_over(choose, f.inputs);
    f.table = ((c & table_over(one, f.inputs)) | (~c & table_over(zero, f.inputs))) & mask_of(f.inputs.size());
    return f;
  };
  const auto constant = [](Int value, int i) -> BitFunction {
    return {{}, static_cast<std::uint64_t>(value >> std::min(i, 127) & 1)};
  };
  std::vector<BitFunction> functions;
  const auto is_used = [&](int i) { return (used >> i & 1) != 0; };
  switch (cell.op) {
    case Op::Mux:
      for (int i = 0; i < cell.width_bits; ++i)
        functions.push_back(is_used(i) ? choice(bit_of(0, 0), bit_of(1, i), bit_of(2, i)) : BitFunction{});
      break;
    case Op::Clamp: {
      const Cell& x = operand(0);
      const BitFunction enough =
          x.range.lo < cell.constant ? comparison(x, cell.constant, LutInput::kBelow) : BitFunction{{}, 1};
      const BitFunction above =
          x.range.hi > cell.constant_hi ? comparison(x, cell.constant_hi + 1, LutInput::kAbove) : BitFunction{};
      for (int i = 0; i < cell.width_bits; ++i) {
        if (!is_used(i)) {
          functions.emplace_back();
          continue;
        }
        const BitFunction value = choice(enough, bit_of(0, i), constant(cell.constant, i));
        functions.push_back(choice(above, constant(cell.constant_hi, i), value));
      }
      break;
    }
    case Op::Table: {
      const Cell& x = operand(0);
      if (x.width_bits > static_cast<int>(kInputs)) return std::nullopt;
      const std::vector<Int>& values = netlist.tables[cell.table];
      std::vector<LutInput> inputs;
      for (int j = 0; j < x.width_bits; ++j) inputs.push_back({0, j});
      for (int i = 0; i < cell.width_bits; ++i) {
        BitFunction f{inputs, 0};
        for (std::size_t code = 0; is_used(i) && code < std::size_t{1} << inputs.size(); ++code) {
          Int index = static_cast<Int>(code);
          if (x.is_signed && (code >> (x.width_bits - 1) & 1) != 0) index -= Int{1} << x.width_bits;
          // Codes that never come repeat the nearest that does.
          index = std::clamp(index, x.range.lo, x.range.hi);
          if ((values[static_cast<std::size_t>(index - cell.constant)] >> i & 1) != 0)
            f.table |= std::uint64_t{1} << code;
        }
        functions.push_back(std::move(f));
      }
      break;
    }
    default:
      return std::nullopt;
  }
  return lut_form(functions);
}

}  // namespace weft::netlist
