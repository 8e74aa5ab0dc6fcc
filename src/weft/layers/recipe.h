// SPDX-License-Identifier: Apache-2.0
/// @file
/// The builder with which a layer's recipe writes primitives of the exact graph.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/nn/graph.h"

namespace weft::layers {

/// One float32 operation of the source that has not been made integer yet: arithmetic with constants, or a function.
using Step = std::variant<exact::ReadoutStep, std::shared_ptr<const quantizers::Function>>;

/// The pending steps once more with the results of the source's library kernels (exp, log, rsqrt ...) moved down and
/// up: frameworks compute those with vector code that differs in the last places from processor to processor.
struct MovedSteps {
  std::array<std::vector<Step>, 2> steps;
  /// The layer with the kernel.
  std::string layer;
  /// The kernel computes a constant once (rsqrt of a variance), not a function of the data.
  bool constant = true;
};

/// How far TensorFlow's rsqrt is taken to lie from IEEE 1 / sqrt, in units in the last place; 3 were seen.
inline constexpr int kRsqrtUlps = 4;

/// What a tensor of the source is in the exact graph: the codes of `value`, then `pending` float32 steps:
/// source value = steps(float32(scale * code)). A quantizer turns all of it into one step function.
struct Symbol {
  exact::ValueId value;
  std::vector<Step> pending;
  /// Set when a library kernel takes part in `pending`.
  std::optional<MovedSteps> moved{};
  /// False for raw sums: their codes follow from ranges, no type was declared by the model or the user.
  bool typed = true;
  /// Largest difference, in real units (one entry for all, per channel or per element), that the order of the source's
  /// own float32 additions can make before the pending steps; empty when there is none.
  std::vector<double> order_bound;
  /// The layer whose sums `order_bound` speaks of.
  std::string sum_layer;
  /// The source layer whose result this is.
  std::string layer;
};

/// Certificate words, weakest last.
enum class Word { Exact, FloatOrder, Quantized };
std::string_view to_string(Word word);

struct LayerCertificate {
  std::string layer;
  std::string op;
  Word word = Word::Exact;
  /// float-order: largest float difference in real units; quantized: nothing.
  double bound = 0.0;
  /// float-order: number of reachable accumulator codes (over all channels) whose result could change within the bound.
  std::uint64_t codes_at_risk = 0;
  std::vector<std::string> notes;
};

/// What the user (or a default) says about types; implemented one floor up.
class TypePolicy {
 public:
  virtual ~TypePolicy() = default;
  /// Result type that the user set for this layer.
  [[nodiscard]] virtual std::optional<fixed::FixedType> result(const nn::Node& node) const = 0;
  /// Result type by default for a float layer whose real results lie in [lo, hi]: from calibration, else the default
  /// type.
  [[nodiscard]] virtual fixed::FixedType default_result(const nn::Node& node, double lo, double hi) const = 0;
  /// Type for a float parameter ("kernel", "bias", ...) without quantizer whose values lie in [lo, hi].
  [[nodiscard]] virtual fixed::FixedType parameter(const nn::Node& node, const std::string& role, double lo,
                                                   double hi) const = 0;
  /// The same, only when the user said so himself.
  [[nodiscard]] virtual std::optional<fixed::FixedType> chosen_parameter(const nn::Node& node,
                                                                         const std::string& role) const = 0;
  /// Forced accumulator, if the user set one.
  [[nodiscard]] virtual std::optional<fixed::FixedType> accumulator(const nn::Node& node) const = 0;
  /// Type that the user set for an intermediate inside of the layer ("gate", "state", "exp", "inverse" ...).
  [[nodiscard]] virtual std::optional<fixed::FixedType> intermediate(const nn::Node& node,
                                                                     const std::string& role) const = 0;
  /// Type by default for an intermediate: from calibration, else from [lo, hi] where that is finite, else the default.
  [[nodiscard]] virtual fixed::FixedType default_intermediate(const nn::Node& node, const std::string& role, double lo,
                                                              double hi) const = 0;
  enum class Softmax { Remove, Table, ArgMax };
  [[nodiscard]] virtual Softmax softmax(const nn::Node& node, bool is_final) const = 0;
  /// Steps up to which a function with a result type that was chosen stays exact; beyond, it becomes straight lines.
  [[nodiscard]] virtual std::size_t most_steps(const nn::Node& /*node*/) const { return std::size_t{1} << 16; }
};

/// A parameter as integers: float32 value = scale * code (up to its own rounding).
struct IntegerParameter {
  FloatTensor values;
  IntTensor codes;
  Scale scale;
  /// The type was chosen by the user or by default, not by the model.
  bool chosen = false;
  /// Largest difference per element that the framework's kernels could make to `values`; empty when there is none.
  std::vector<float> uncertainty{};
};

class Recipe {
 public:
  Recipe(const nn::Graph& source, const TypePolicy& policy, Context& ctx);

  // --- results
  [[nodiscard]] exact::Graph& graph() { return graph_; }
  [[nodiscard]] std::vector<LayerCertificate>& certificates() { return certificates_; }
  [[nodiscard]] const nn::Graph& source() const { return source_; }
  [[nodiscard]] const TypePolicy& policy() const { return policy_; }

  // --- symbols of source tensors
  [[nodiscard]] const Symbol& symbol(nn::TensorId id) const;
  [[nodiscard]] const Symbol& input(const nn::Node& node, std::size_t i = 0) const { return symbol(node.inputs[i]); }
  void set(nn::TensorId id, Symbol symbol);
  /// Sets the node's output; applies the user's result type when there is one.
  Result<void> set_output(const nn::Node& node, Symbol symbol);
  [[nodiscard]] bool is_graph_output(nn::TensorId id) const;

  // --- primitives
  /// Adds a value with inferred shape and ranges; `hint` becomes a unique legal name.
  Result<exact::ValueId> add(const std::string& hint, exact::Primitive primitive, Scale scale, const Origin& origin,
                             std::optional<Shape> shape = std::nullopt);
  [[nodiscard]] const exact::Value& value(exact::ValueId id) const { return graph_.at(id); }

  // --- what recipes are made of
  /// The parameter as integers; a float one gets the policy's type.
  Result<IntegerParameter> integer_parameter(const nn::Node& node, const std::string& role);
  /// Pushes the function, or, for a quantizer, makes the requant. `symbol.order_bound` is consumed into the
  /// certificate.
  Result<Symbol> apply(const nn::Node& node, Symbol symbol, const quantizers::Spec& spec);
  /// Appends an arithmetic step (one operand, or one per index of the last axis). `moved` are its operands with the
  /// kernel that computed them moved down and up, where one did.
  using MovedOperands = std::array<std::vector<float>, 2>;
  Result<Symbol> push(const nn::Node& node, Symbol symbol, exact::ReadoutStep step,
                      const std::optional<MovedOperands>& moved = std::nullopt);
  /// Codes only: no pending steps, a declared type. Affine pending steps that are exact are folded into the scale;
  /// other ones, and raw float sums, get the policy's type (certificate `quantized`).
  struct Codes {
    exact::ValueId value;
    /// real = scale * code + offset (exact), offset only when `allow_offset`.
    Rational offset{0};
  };
  Result<Codes> codes(const nn::Node& node, const Symbol& symbol, bool allow_offset);
  /// Casts to a fixed-point type chosen by the user or by default; `what` names it in the certificate.
  Result<Symbol> cast(const nn::Node& node, const Symbol& symbol, const fixed::FixedType& type,
                      std::string_view what = "result");

  // --- certificates
  LayerCertificate& certificate(const std::string& layer, const std::string& op);
  /// Lowers the layer's word to at least `word` and adds the note once.
  void weaken(const nn::Node& node, Word word, const std::string& note);
  /// Marks the layer `layer` as not visible by itself.
  void fold(const std::string& layer, const std::string& into);
  /// Notes that the constants of pending arithmetic come from a kernel, where nothing rounds the difference away.
  void note_moved(const Symbol& symbol);

  /// The model's own quantizer that already made the codes of a graph input: its node passes them through.
  void mark_input_quantizer(const std::string& node) { input_quantizers_.insert(node); }
  [[nodiscard]] bool is_input_quantizer(const nn::Node& node) const { return input_quantizers_.count(node.name) != 0; }
  Context& context() { return ctx_; }

 private:
  Result<Symbol> requant(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function, bool chosen);
  Result<void> check_domain(const nn::Node& node, const Symbol& symbol, const std::string& family,
                            const quantizers::Function& function);
  /// The layer whose float32 sum is read here: its bound, and how many codes it may change.
  void note_sum(const Symbol& symbol, std::uint64_t codes_at_risk);
  Result<Symbol> straight_lines(const nn::Node& node, const Symbol& symbol, const fixed::FixedType& type,
                                std::size_t count, bool chosen);
  /// What a quantizer that wraps is applied to instead of `symbol`; nullopt: `symbol` itself.
  Result<std::optional<Symbol>> before_wrap(const nn::Node& node, const Symbol& symbol,
                                            const quantizers::Function& unwrapped, bool chosen);
  /// The only pending step is a ReLU: its codes.
  Result<Symbol> relu_alone(const nn::Node& node, const Symbol& symbol);
  std::uint64_t codes_at_risk(const Symbol& symbol, const quantizers::Function& function,
                              const std::vector<fixed::StepFunction>& functions) const;
  /// `channels` of the input have functions of their own.
  void certify_kernels(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function,
                       const std::vector<fixed::StepFunction>& functions, std::size_t channels);
  void certify_straight_through(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function,
                                std::size_t channels);
  std::optional<Codes> fold_affine(const nn::Node& node, const Symbol& symbol);
  const nn::Node& node_of(const Symbol& symbol, const nn::Node& fallback) const;

  const nn::Graph& source_;
  const TypePolicy& policy_;
  Context& ctx_;
  exact::Graph graph_;
  std::vector<std::optional<Symbol>> symbols_;
  std::vector<LayerCertificate> certificates_;
  std::set<std::string> names_;
  std::set<std::string> input_quantizers_;
};

/// Entries after which scale and steps repeat, at least the last axis: its extent, or the number of elements where the
/// channels of a layer were moved to another axis.
std::size_t channels_of(const exact::Value& value, const std::vector<Step>& steps = {});

/// Range over the elements that share channel `c` of `channels` (1: all elements).
fixed::Range channel_range(const exact::Value& value, std::size_t c, std::size_t channels);

/// Evaluates pending steps in float32. `channel` counts along the last axis, or over all elements where a step or the
/// scale has parameters for each.
float run_steps(const std::vector<Step>& steps, float x, std::size_t channel);

}  // namespace weft::layers
