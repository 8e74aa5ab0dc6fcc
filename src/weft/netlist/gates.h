// SPDX-License-Identifier: Apache-2.0
/// @file
/// One-bit logic with structural sharing: what synthesis is left with between registers and carry chains.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weft::netlist {

/// A gate's output or its complement: twice the index of the node, plus one when inverted.
using Literal = std::uint32_t;
constexpr Literal kLow = 0;
constexpr Literal kHigh = 1;

inline std::uint32_t node_of(Literal x) { return x >> 1; }
inline bool is_constant(Literal x) { return x <= kHigh; }

/// Nodes in topological order; node 0 is the constant. Equal gates are one node, constants are folded.
class Gates {
 public:
  /// Copy: a signal of its own for the same bit; gates that read it read what it copies.
  enum class Kind : std::uint8_t { Source, And, Xor, Mux, Copy };
  struct Node {
    Kind kind = Kind::Source;
    std::uint32_t owner = 0;             ///< who made it first
    std::array<Literal, 3> inputs = {};  ///< Mux: select, when one, when zero
  };

  Gates();
  /// New nodes belong to `owner` from here on.
  void set_owner(std::uint32_t owner) { owner_ = owner; }
  /// A bit that comes from outside of the logic: a port, a register, a carry chain, a memory.
  Literal source();
  Literal both(Literal a, Literal b);
  Literal either(Literal a, Literal b) { return both(a ^ 1, b ^ 1) ^ 1; }
  Literal differ(Literal a, Literal b);
  Literal choose(Literal select, Literal when_one, Literal when_zero);
  /// The same bit as another signal, which synthesis does not see to be the same.
  Literal copy(Literal x);
  /// What copies stand for.
  [[nodiscard]] Literal plain(Literal x) const;
  /// AND and OR of many, six at a time.
  Literal all(std::vector<Literal> bits);
  Literal any(std::vector<Literal> bits);

  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  static int input_count(Kind kind) {
    return kind == Kind::Source ? 0 : kind == Kind::Mux ? 3 : kind == Kind::Copy ? 1 : 2;
  }

 private:
  struct Key {
    Kind kind;
    std::array<Literal, 3> inputs;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  Literal make(Kind kind, Literal a, Literal b, Literal c = 0);

  std::vector<Node> nodes_;
  std::unordered_map<Key, std::uint32_t, Hash> known_;
  std::uint32_t owner_ = 0;
};

}  // namespace weft::netlist
