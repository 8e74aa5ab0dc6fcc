// SPDX-License-Identifier: Apache-2.0
// The circuit that LUTs and flip-flops are counted in computes what the netlist does.
#include <gtest/gtest.h>

#include "weft/exact/random_graph.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"
#include "weft/netlist/bit_circuit.h"

namespace weft::hw {
namespace {

using netlist::BitCircuit;
using netlist::Gates;
using netlist::Literal;

/// The bits of all outputs for one sample, registers as wires.
std::vector<bool> evaluate(const BitCircuit& circuit, const std::vector<std::vector<bool>>& inputs) {
  const auto& nodes = circuit.gates.nodes();
  std::vector<bool> value(nodes.size(), false);
  const auto at = [&](Literal x) { return value[netlist::node_of(x)] != ((x & 1) != 0); };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::size_t b = 0; b < inputs[i].size(); ++b) value[netlist::node_of(circuit.inputs[i][b])] = inputs[i][b];
  }
  std::vector<const netlist::BitRegister*> registers(nodes.size(), nullptr);
  for (const auto& r : circuit.registers) registers[r.node] = &r;
  std::vector<const netlist::CarryChain*> chains(nodes.size(), nullptr);
  for (const auto& chain : circuit.chains) {
    for (const std::uint32_t node : chain.outputs) {
      if (node != 0) chains[node] = &chain;
    }
  }
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    const auto& x = nodes[i].inputs;
    switch (nodes[i].kind) {
      case Gates::Kind::And:
        value[i] = at(x[0]) && at(x[1]);
        break;
      case Gates::Kind::Xor:
        value[i] = at(x[0]) != at(x[1]);
        break;
      case Gates::Kind::Mux:
        value[i] = at(x[0]) ? at(x[1]) : at(x[2]);
        break;
      case Gates::Kind::Copy:
        value[i] = at(x[0]);
        break;
      case Gates::Kind::Source:
        if (registers[i] != nullptr) {
          value[i] = at(registers[i]->reset) ? registers[i]->reset_value : at(registers[i]->data);
        } else if (chains[i] != nullptr) {
          bool carry = at(chains[i]->carry);
          for (std::size_t b = 0; b < chains[i]->outputs.size(); ++b) {
            if (chains[i]->outputs[b] == i) value[i] = at(chains[i]->select[b]) != carry;
            carry = at(chains[i]->select[b]) ? carry : at(chains[i]->data[b]);
          }
        }
        break;
    }
  }
  std::vector<bool> out;
  for (const Literal x : circuit.outputs) out.push_back(at(x));
  return out;
}

bool bit_of(Int value, int bit) { return (value >> bit & 1) != 0; }

TEST(Prediction, TheCountedCircuitComputesTheNetlist) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const exact::Graph graph = exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)});
    diag::Engine engine;
    Context ctx{.diag = engine};
    const auto design = plan(graph, {.clock_ns = clocks[seed % 4], .register_inputs = seed % 5 == 0}, ctx);
    ASSERT_TRUE(design.ok());
    const auto& circuit_of = design->netlist;
    const std::vector<netlist::Hard> none(circuit_of.cells.size(), netlist::Hard::No);
    const BitCircuit circuit = netlist::bit_circuit(circuit_of, design->pipeline, none);
    exact::Random random(seed);
    for (int s = 0; s < 20; ++s) {
      const auto codes = exact::random_codes(graph, random);
      const auto values = netlist::evaluate(circuit_of, codes);
      std::vector<std::vector<bool>> inputs;
      for (std::size_t i = 0; i < circuit_of.cells.size(); ++i) {
        if (circuit_of.cells[i].op != netlist::Op::Input) continue;
        inputs.emplace_back();
        for (int b = 0; b < circuit_of.cells[i].width_bits; ++b) inputs.back().push_back(bit_of(values[i], b));
      }
      std::vector<bool> expected;
      for (const auto& port : circuit_of.outputs) {
        for (const auto net : port.elements) {
          for (int b = 0; b < circuit_of.at(net).width_bits; ++b) expected.push_back(bit_of(values[net.index], b));
        }
      }
      ASSERT_EQ(evaluate(circuit, inputs), expected) << "sample " << s;
    }
  }
}

}  // namespace
}  // namespace weft::hw
