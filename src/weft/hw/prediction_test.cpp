// SPDX-License-Identifier: Apache-2.0
// The circuit that LUTs and flip-flops are counted in computes what the netlist does.
#include <gtest/gtest.h>

#include <set>

#include "weft/exact/random_graph.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"
#include "weft/netlist/bit_circuit.h"

namespace weft::hw {
namespace {

using netlist::BitCircuit;
using netlist::Gates;
using netlist::Literal;

/// The circuit cycle by cycle.
class Machine {
 public:
  explicit Machine(const BitCircuit& circuit)
      : circuit_(circuit),
        nodes_(circuit.gates.nodes()),
        value_(nodes_.size(), false),
        is_register_(nodes_.size(), false),
        chains_(nodes_.size(), nullptr) {
    for (const auto& r : circuit.registers) is_register_[r.node] = true;
    for (const auto& chain : circuit.chains) {
      for (const std::uint32_t node : chain.outputs) {
        if (node != 0) chains_[node] = &chain;
      }
    }
  }

  /// The outputs in a cycle with these inputs; `stages` are those in which an event is.
  std::vector<bool> step(const std::vector<std::vector<bool>>& inputs, const std::set<int>& stages) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (std::size_t b = 0; b < inputs[i].size(); ++b) value_[netlist::node_of(circuit_.inputs[i][b])] = inputs[i][b];
    }
    for (const auto& [stage, bit] : circuit_.events) value_[netlist::node_of(bit)] = stages.count(stage) != 0;
    for (std::size_t i = 1; i < nodes_.size(); ++i) settle(i);
    std::vector<bool> out;
    for (const Literal x : circuit_.outputs) out.push_back(at(x));
    std::vector<bool> next;
    for (const auto& r : circuit_.registers) {
      const bool loaded = at(r.reset) ? r.reset_value : at(r.data);
      next.push_back(at(r.load) ? loaded : value_[r.node]);
    }
    for (std::size_t i = 0; i < next.size(); ++i) value_[circuit_.registers[i].node] = next[i];
    return out;
  }

 private:
  [[nodiscard]] bool at(Literal x) const { return value_[netlist::node_of(x)] != ((x & 1) != 0); }

  void settle(std::size_t i) {
    const auto& x = nodes_[i].inputs;
    switch (nodes_[i].kind) {
      case Gates::Kind::And:
        value_[i] = at(x[0]) && at(x[1]);
        break;
      case Gates::Kind::Xor:
        value_[i] = at(x[0]) != at(x[1]);
        break;
      case Gates::Kind::Mux:
        value_[i] = at(x[0]) ? at(x[1]) : at(x[2]);
        break;
      case Gates::Kind::Copy:
        value_[i] = at(x[0]);
        break;
      case Gates::Kind::Source:
        if (is_register_[i] || chains_[i] == nullptr) break;
        bool carry = at(chains_[i]->carry);
        for (std::size_t b = 0; b < chains_[i]->outputs.size(); ++b) {
          if (chains_[i]->outputs[b] == i) value_[i] = at(chains_[i]->select[b]) != carry;
          carry = at(chains_[i]->select[b]) ? carry : at(chains_[i]->data[b]);
        }
        break;
    }
  }

  const BitCircuit& circuit_;
  const std::vector<Gates::Node>& nodes_;
  std::vector<bool> value_;
  std::vector<bool> is_register_;
  std::vector<const netlist::CarryChain*> chains_;
};

bool bit_of(Int value, int bit) { return (value >> bit & 1) != 0; }

/// The values of the graph's inputs as bits of the input cells, and those of the outputs.
struct Sample {
  std::vector<std::vector<bool>> inputs;
  std::vector<bool> outputs;
};

Sample sample_of(const netlist::Netlist& netlist, const std::vector<std::vector<Int>>& codes) {
  const auto values = netlist::evaluate(netlist, codes);
  Sample sample;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (netlist.cells[i].op != netlist::Op::Input) continue;
    sample.inputs.emplace_back();
    for (int b = 0; b < netlist.cells[i].width_bits; ++b) sample.inputs.back().push_back(bit_of(values[i], b));
  }
  for (const auto& port : netlist.outputs) {
    for (const auto net : port.elements) {
      for (int b = 0; b < netlist.at(net).width_bits; ++b) sample.outputs.push_back(bit_of(values[net.index], b));
    }
  }
  return sample;
}

/// Samples as close behind each other as the design takes them, noise between them.
void expect_netlist(const Design& design, std::uint64_t seed) {
  const std::vector<netlist::Hard> none(design.netlist.cells.size(), netlist::Hard::No);
  const BitCircuit circuit = netlist::bit_circuit(design.netlist, design.pipeline, none);
  exact::Random random(seed);
  std::vector<Sample> samples;
  for (int s = 0; s < 20; ++s) samples.push_back(sample_of(design.netlist, exact::random_codes(design.graph, random)));
  Machine machine(circuit);
  const int interval = design.interval_cycles;
  const int count = static_cast<int>(samples.size());
  for (int cycle = 0; cycle < (count - 1) * interval + design.latency_cycles + 1; ++cycle) {
    std::vector<std::vector<bool>> inputs = samples[0].inputs;
    if (cycle % interval == 0 && cycle / interval < count) {
      inputs = samples[static_cast<std::size_t>(cycle / interval)].inputs;
    } else {
      for (auto& bits : inputs) {
        for (std::size_t b = 0; b < bits.size(); ++b) bits[b] = random.between(0, 1) != 0;
      }
    }
    std::set<int> stages;
    for (int s = 0; s < count; ++s) {
      if (cycle >= s * interval) stages.insert(cycle - s * interval);
    }
    const std::vector<bool> outputs = machine.step(inputs, stages);
    const int arrived = cycle - design.latency_cycles;
    if (arrived < 0 || arrived % interval != 0) continue;
    ASSERT_EQ(outputs, samples[static_cast<std::size_t>(arrived / interval)].outputs)
        << "sample " << arrived / interval;
  }
}

TEST(Prediction, TheCountedCircuitComputesTheNetlist) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  const int reuse_factors[] = {1, 1, 2, 3, 5, 12};
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const exact::Graph graph = exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)});
    diag::Engine engine;
    Context ctx{.diag = engine};
    const auto design = plan(graph,
                             {.clock_ns = clocks[seed % 4],
                              .register_inputs = seed % 5 == 0,
                              .effort = Effort::Fast,
                              .reuse_factor = reuse_factors[seed % std::size(reuse_factors)]},
                             ctx);
    ASSERT_TRUE(design.ok());
    expect_netlist(*design, seed);
  }
}

}  // namespace
}  // namespace weft::hw
