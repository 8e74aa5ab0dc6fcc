// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/bit_words.h"

namespace weft::netlist {

Literal constant_bit(Int value, int i) {
  return i >= 127 ? (value < 0 ? kHigh : kLow) : (value >> i & 1) != 0 ? kHigh : kLow;
}

Literal at_least(Gates& gates, const BitWord& x, Int threshold) {
  const int w = x.width();
  const Int t = x.is_signed ? threshold + (Int{1} << (w - 1)) : threshold;
  const auto bit = [&](int i) { return x.at(i) ^ (x.is_signed && i == w - 1 ? 1 : 0); };
  int i = fixed::trailing_zeros(t);
  Literal result = bit(i);
  ++i;
  while (i < w) {
    const bool one = constant_bit(t, i) == kHigh;
    std::vector<Literal> run;
    for (; i < w && (constant_bit(t, i) == kHigh) == one; ++i) run.push_back(bit(i));
    result = one ? gates.both(gates.all(std::move(run)), result) : gates.either(gates.any(std::move(run)), result);
  }
  return result;
}

std::vector<Literal> pair_bits(BitCircuit& circuit, const LutForm& form,
                               const std::function<Literal(const LutInput&)>& literal) {
  std::vector<std::pair<Literal, Literal>> outputs;
  for (const LutForm::Lut& lut : form.luts) {
    HardReads block;
    for (const LutInput& input : lut.inputs) block.inputs.push_back(literal(input));
    const Literal first = circuit.gates.source();
    const Literal second = lut.is_pair ? circuit.gates.source() : kLow;
    block.outputs.push_back(node_of(first));
    if (lut.is_pair) block.outputs.push_back(node_of(second));
    outputs.emplace_back(first, second);
    circuit.hard.push_back(std::move(block));
  }
  std::vector<Literal> result;
  for (const LutForm::Bit& bit : form.bits) {
    Literal value = kLow;
    if (bit.source == LutForm::Bit::Source::Input) value = literal(bit.input);
    if (bit.source == LutForm::Bit::Source::Lut)
      value = bit.is_second ? outputs[bit.lut].second : outputs[bit.lut].first;
    result.push_back(value ^ (bit.invert ? 1 : 0));
  }
  return result;
}

}  // namespace weft::netlist
