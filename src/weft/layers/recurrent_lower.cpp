// SPDX-License-Identifier: Apache-2.0
// Recurrent layers as primitives: the time steps are unrolled, every step is the same recipe. Gates are exact integer
// sums of [x_t, h] with the stacked kernels, their functions step functions, everything else products and sums.
//
// What the model does not give a type gets one: `gate_input` in front of a plain function, `gate` behind it, `state`
// and `cell` where a state would grow from step to step. Where the model's own quantizers bound everything (QKeras with
// a state quantizer), nothing is cast and the layer can be exact.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/recurrent.h"
#include "weft/layers/shared_functions.h"
#include "weft/layers/symbol_arithmetic.h"

namespace weft::layers {
namespace {

using Domain = SharedFunctions::Domain;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Bounds {
  double lo = -kInfinity;
  double hi = kInfinity;
};

/// What the cell's steps share.
class CellRecipe {
 public:
  CellRecipe(const nn::Node& node, Recipe& recipe, Context& ctx)
      : node_(node),
        recipe_(recipe),
        ctx_(ctx),
        r_(recurrence_of(recipe.source(), node)),
        functions_(node, recipe, ctx) {}

  Result<void> lower() {
    recipe_.certificate(node_.name, node_.op);
    WEFT_TRY_VOID(load());
    const Symbol input = recipe_.input(node_);
    WEFT_TRY(const auto x, recipe_.codes(node_, input, false));
    const Scale x_scale = recipe_.value(x.value).scale;
    WEFT_TRY_VOID(load_mask());
    std::vector<Symbol> results(r_.sequences ? static_cast<std::size_t>(r_.steps) : 0);
    for (std::int64_t s = 0; s < r_.steps; ++s) {
      if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, node_.origin, "the run was interrupted");
      exact::Gather row{x.value, {}, 0};
      for (std::int64_t i = 0; i < r_.inputs; ++i) row.indices.push_back(r_.row(s) * r_.inputs + i);
      Symbol xt{.value = {}, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node_.name};
      WEFT_TRY(xt.value, recipe_.add(name("x"), std::move(row), x_scale, node_.origin, Shape{r_.inputs}));
      const Symbol h = h_;
      const Symbol c = c_;
      WEFT_TRY_VOID(step(xt));
      if (mask_) {
        WEFT_TRY(h_, kept_where_masked("h", r_.row(s), h, h_));
        if (node_.op == "LSTM") {
          WEFT_TRY(c_, kept_where_masked("c", r_.row(s), c, c_));
        }
      }
      if (!r_.sequences) continue;
      Symbol& result = results[static_cast<std::size_t>(r_.realign ? r_.row(s) : s)];
      result = h_;
      if (r_.zero_output) {
        WEFT_TRY(const Symbol m, mask_at("output", r_.row(s), r_.hidden));
        WEFT_TRY(result, times(node_, name("output"), recipe_, m, h_));
        result.typed = h_.typed;
        result.order_bound = h_.order_bound;
        result.sum_layer = h_.sum_layer;
      }
    }
    Symbol out = h_;
    if (r_.sequences) {
      WEFT_TRY(out, stacked(node_, node_.name, recipe_, std::move(results), {r_.steps, r_.hidden}));
    }
    if (node_.outputs.size() > 1) set_state(1, h_);
    if (node_.outputs.size() > 2) set_state(2, c_);
    const std::string note = get_string(node_.attributes, std::string(kNote), "");
    if (!note.empty()) recipe_.weaken(node_, Word::Exact, note);
    return recipe_.set_output(node_, std::move(out));
  }

 private:
  [[nodiscard]] std::string name(const std::string& part) const { return node_.name + "_" + part; }

  void set_state(std::size_t output, Symbol state) {
    state.layer = node_.name;
    recipe_.set(node_.outputs[output], std::move(state));
  }

  // --- masks

  Result<void> load_mask() {
    if (!r_.masked) return {};
    WEFT_TRY(const auto codes, recipe_.codes(node_, Symbol(recipe_.input(node_, node_.inputs.size() - 1)), false));
    for (const auto& range : recipe_.value(codes.value).ranges)
      if (range.lo < 0 || range.hi > 1 || recipe_.value(codes.value).scale != Scale())
        return ctx_.fail(Kind::LoweringUnsupported, node_.origin, "the mask holds other numbers than 0 and 1");
    mask_ = codes.value;
    return {};
  }

  /// The mask of a row for each of `extent` numbers.
  Result<Symbol> mask_at(const std::string& label, std::int64_t row, std::int64_t extent) {
    exact::Gather spread{*mask_, std::vector<std::int64_t>(static_cast<std::size_t>(extent), row), 0};
    Symbol m{.value = {}, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node_.name};
    WEFT_TRY(m.value, recipe_.add(name(label + "_mask"), std::move(spread), Scale(), node_.origin, Shape{extent}));
    return m;
  }

  /// m now + (1 - m) before, which is either of them: clipped to the codes that they reach, the range does not grow.
  Result<Symbol> kept_where_masked(const std::string& label, std::int64_t row, const Symbol& before,
                                   const Symbol& now) {
    const std::int64_t extent = recipe_.value(now.value).shape.back();
    WEFT_TRY(const Symbol m, mask_at(label, row, extent));
    WEFT_TRY(Symbol out, times(node_, name(label + "_taken"), recipe_, m, now));
    const auto& ranges = recipe_.value(before.value).ranges;
    const bool zero = std::all_of(ranges.begin(), ranges.end(), [](const auto& r) { return r.lo == 0 && r.hi == 0; });
    if (!zero) {
      WEFT_TRY(const Symbol open, one_minus(node_, name(label + "_masked"), recipe_, m));
      WEFT_TRY(const Symbol old, times(node_, name(label + "_before"), recipe_, open, before));
      WEFT_TRY(out, sum(node_, name(label + "_either"), recipe_, out, old));
      WEFT_TRY(out.value, clipped_to(label, out.value, {now.value, before.value}));
    }
    out.typed = now.typed && before.typed;
    out.order_bound = now.order_bound;
    if (!before.order_bound.empty()) {
      const double most = *std::max_element(before.order_bound.begin(), before.order_bound.end());
      if (out.order_bound.empty()) out.order_bound = {0.0};
      for (auto& bound : out.order_bound) bound = std::max(bound, most);
    }
    out.sum_layer = out.order_bound.empty() ? "" : node_.name;
    return out;
  }

  /// Codes of `x` that any of `either` reaches.
  Result<exact::ValueId> clipped_to(const std::string& label, exact::ValueId x,
                                    const std::vector<exact::ValueId>& either) {
    const exact::Value& value = recipe_.value(x);
    Int lo = std::numeric_limits<Int>::max();
    Int hi = std::numeric_limits<Int>::min();
    for (const auto id : either) {
      const exact::Value& v = recipe_.value(id);
      for (std::size_t e = 0; e < v.ranges.size(); ++e) {
        const Rational factor = v.scale.of(e) / value.scale.of(e);
        const auto code = [&](Int c) {
          return fixed::to_int(boost::multiprecision::numerator(Rational(factor * fixed::rational_from_int(c))));
        };
        const auto a = code(v.ranges[e].lo);
        const auto b = code(v.ranges[e].hi);
        WEFT_CHECK(a && b, "a state beyond 128 bits");
        lo = std::min(lo, *a);
        hi = std::max(hi, *b);
      }
    }
    const fixed::Range all = channel_range(value, 0, 1);
    const fixed::ShiftRound clip{0, fixed::Rounding::Trn, fixed::Overflow::Sat, lo, hi, fixed::width_bits(all), true,
                                 0};
    const Scale scale = value.scale;
    return recipe_.add(name(label), exact::Requant{x, {clip}, false}, scale, node_.origin);
  }

  // --- parameters and initial states

  Result<void> load() {
    const std::int64_t u = r_.units;
    WEFT_TRY(const auto kernel, recipe_.integer_parameter(node_, "kernel"));
    WEFT_TRY(const auto recurrent, recipe_.integer_parameter(node_, "recurrent_kernel"));
    chosen_ = kernel.chosen || recurrent.chosen;
    IntegerParameter both_chosen = kernel;
    both_chosen.chosen = chosen_;
    WEFT_TRY(bias_, bias_parameter(node_, recipe_, both_chosen));
    WEFT_TRY(recurrent_bias_, bias_parameter(node_, recipe_, both_chosen, "recurrent_bias"));
    modelled_ = !chosen_ && !(bias_ && bias_->chosen);
    for (const auto& role : {"activation", "recurrent_activation"}) {
      const auto it = node_.functions.find(role);
      const bool needed = node_.op != "SimpleRNN" || role == std::string_view("activation");
      modelled_ = modelled_ && (!needed || (it != node_.functions.end() && is_quantizer(it->second)));
    }
    if (const auto it = node_.functions.find("output_activation"); it != node_.functions.end())
      modelled_ = modelled_ && is_quantizer(it->second);
    has_state_quantizer_ = node_.functions.count("state") != 0;
    if (has_state_quantizer_ && !is_quantizer(node_.functions.at("state")))
      return ctx_.fail(Kind::LoweringUnsupported, node_.origin, "the function of the state is no quantizer");
    for (std::int64_t k = 0; k < gate_blocks(node_.op); ++k) {
      const IntegerParameter w = columns(kernel, k * u, u);
      const IntegerParameter v = columns(recurrent, k * u, u);
      input_kernels_.push_back(w);
      recurrent_kernels_.push_back(v);
    }
    // Gates of one function are one product.
    if (node_.op == "LSTM" && node_.parameters.count("peephole") == 0) {
      WEFT_TRY(gates_, stacked_kernel(kernel, recurrent, {0, 1, 3}));
    } else if (node_.op == "LSTM") {
      WEFT_TRY(const auto peephole, recipe_.integer_parameter(node_, "peephole"));
      chosen_ = chosen_ || peephole.chosen;
      modelled_ = modelled_ && !peephole.chosen;
      WEFT_TRY(gates_, stacked_kernel(kernel, recurrent, {0, 1}));
      WEFT_TRY(gates_, rows_joined(node_, gates_, diagonals(peephole, {0, 1}), ctx_));
      WEFT_TRY(output_gate_, stacked_kernel(kernel, recurrent, {3}));
      WEFT_TRY(output_gate_, rows_joined(node_, *output_gate_, diagonals(peephole, {2}), ctx_));
    } else if (node_.op == "GRU") {
      WEFT_TRY(gates_, stacked_kernel(kernel, recurrent, {0, 1}));
    }
    const std::int64_t candidate = node_.op == "LSTM" || node_.op == "GRU" ? 2 : 0;
    WEFT_TRY(candidate_, stacked_kernel(kernel, recurrent, {candidate}));
    if (node_.parameters.count("projection") != 0) {
      WEFT_TRY(projection_, recipe_.integer_parameter(node_, "projection"));
      chosen_ = chosen_ || projection_->chosen;
      modelled_ = modelled_ && !projection_->chosen;
    }
    WEFT_TRY(h_, initial("initial_h", 1, r_.hidden));
    if (node_.op == "LSTM") {
      WEFT_TRY(c_, initial("initial_c", 2, r_.units));
    }
    return {};
  }

  [[nodiscard]] static bool is_quantizer(const quantizers::Spec& spec) {
    const auto* family = quantizers::find_family(spec.family);
    return family != nullptr && family->is_quantizer;
  }

  /// Columns of these blocks side by side.
  IntegerParameter blocks(const IntegerParameter& parameter, const std::vector<std::int64_t>& which) const {
    const std::int64_t u = r_.units;
    const std::int64_t width = static_cast<std::int64_t>(which.size()) * u;
    const std::int64_t rows = parameter.codes.size() / parameter.codes.shape.back();
    Shape shape = parameter.codes.shape;
    shape.back() = width;
    IntegerParameter out{FloatTensor(shape), IntTensor(shape), parameter.scale, parameter.chosen, {}};
    if (!parameter.scale.per_tensor()) out.scale.factors.clear();
    if (!parameter.uncertainty.empty()) out.uncertainty.resize(out.codes.data.size());
    for (std::size_t k = 0; k < which.size(); ++k) {
      const IntegerParameter part = columns(parameter, which[k] * u, u);
      if (!parameter.scale.per_tensor())
        for (std::int64_t i = 0; i < u; ++i)
          out.scale.factors.push_back(parameter.scale.at(static_cast<std::size_t>(which[k] * u + i)));
      for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t i = 0; i < u; ++i) {
          const auto to = static_cast<std::size_t>(row * width + static_cast<std::int64_t>(k) * u + i);
          const auto from = static_cast<std::size_t>(row * u + i);
          out.values.data[to] = part.values.data[from];
          out.codes.data[to] = part.codes.data[from];
          if (!out.uncertainty.empty()) out.uncertainty[to] = part.uncertainty[from];
        }
    }
    return out;
  }

  Result<IntegerParameter> stacked_kernel(const IntegerParameter& kernel, const IntegerParameter& recurrent,
                                          const std::vector<std::int64_t>& which) {
    return rows_joined(node_, blocks(kernel, which), blocks(recurrent, which), ctx_);
  }

  /// Peepholes as rows of a kernel: one number per unit on the diagonal of each block. Their blocks are i, f, o.
  IntegerParameter diagonals(const IntegerParameter& peephole, const std::vector<std::int64_t>& which) const {
    const std::int64_t u = r_.units;
    const std::int64_t width = static_cast<std::int64_t>(which.size()) * u;
    const IntegerParameter flat = blocks(peephole, which);
    IntegerParameter out{FloatTensor(Shape{u, width}), IntTensor(Shape{u, width}), flat.scale, flat.chosen, {}};
    for (std::int64_t c = 0; c < width; ++c) {
      const auto at = static_cast<std::size_t>(c % u * width + c);
      out.values.data[at] = flat.values.data[static_cast<std::size_t>(c)];
      out.codes.data[at] = flat.codes.data[static_cast<std::size_t>(c)];
    }
    return out;
  }

  [[nodiscard]] std::optional<IntegerParameter> bias_of(const std::optional<IntegerParameter>& bias,
                                                        const std::vector<std::int64_t>& which) const {
    if (!bias) return std::nullopt;
    return blocks(*bias, which);
  }

  Result<Symbol> initial(const char* role, std::size_t input, std::int64_t extent) {
    if (r_.given > input) {
      const Symbol given = recipe_.input(node_, input);
      WEFT_TRY(const auto codes, recipe_.codes(node_, given, false));
      return Symbol{.value = codes.value, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node_.name};
    }
    const Shape shape{extent};
    if (node_.parameters.count(role) == 0)
      return constant(node_, name(role), recipe_, std::vector<Int>(static_cast<std::size_t>(extent), 0), shape,
                      Scale());
    WEFT_TRY(const auto value, recipe_.integer_parameter(node_, role));
    return constant(node_, name(role), recipe_, {value.codes.data.begin(), value.codes.data.end()}, shape, value.scale);
  }

  // --- functions and types

  /// A function that all steps share. Where its result type was chosen, they share it for more codes than one reaches.
  Result<Symbol> once(const std::string& key, Symbol in, SharedFunctions::Domain domain,
                      const SharedFunctions::Make& make) {
    // The layer is `quantized` already: how float32 would have rounded sums of other numbers says nothing.
    if (chosen_) in.order_bound.clear();
    return functions_.apply(key, in, domain, make);
  }

  Result<Symbol> typed(const std::string& key, const Symbol& in, const fixed::FixedType& type,
                       const std::string& what) {
    return once(key, in, Domain::Rounded,
                [&](Recipe& recipe, const Symbol& s) { return recipe.cast(node_, s, type, what); });
  }

  /// The bounds of a function's results, when they are finite.
  Result<Bounds> bounds_of(const std::string& role) {
    const auto it = node_.functions.find(role);
    if (it == node_.functions.end()) return Bounds{};
    WEFT_TRY(const auto f, quantizers::make(it->second, node_.origin, ctx_));
    if (f->channels() != 1) return Bounds{};
    Bounds out{0.0, 0.0};
    std::vector<double> points = f->turning_points();
    points.push_back(-1e30);
    points.push_back(1e30);
    for (const double p : points) {
      const double y = f->apply(static_cast<float>(p), 0);
      if (!(std::fabs(y) <= 1e6)) return Bounds{};
      out.lo = std::min(out.lo, y);
      out.hi = std::max(out.hi, y);
    }
    return out;
  }

  /// A gate's function of the sum `z` as codes.
  Result<Symbol> function(const std::string& role, const std::string& label, Symbol z) {
    const auto set_input = recipe_.policy().intermediate(node_, kGateInput);
    const auto set_gate = recipe_.policy().intermediate(node_, kGate);
    const auto it = node_.functions.find(role);
    const bool linear = it == node_.functions.end() || it->second.family == "linear";
    const bool quantizer = !linear && is_quantizer(it->second);
    const double clip = get_double(node_.attributes, std::string(kClip), 0.0);
    const bool gate = role != "output_activation" && label != "shown";
    // A ReLU needs no table, and a quantizer sees the exact sum as the model does.
    const bool table = !linear && !quantizer && it->second.family != "relu";
    if (gate && (set_input || table)) {
      const auto type =
          set_input ? *set_input : recipe_.policy().default_intermediate(node_, kGateInput, -kInfinity, kInfinity);
      WEFT_TRY(z, typed(label + "_input", z, type, kGateInput));
    }
    if (clip > 0.0 && gate) {
      quantizers::Spec spec{"clip", quantizers::find_family("clip")->defaults};
      spec.parameters["min"] = -clip;
      spec.parameters["max"] = clip;
      WEFT_TRY(z, recipe_.apply(node_, std::move(z), spec));
    }
    if (quantizer) {
      WEFT_TRY(Symbol y, once(label, z, Domain::Reachable,
                              [&](Recipe& recipe, const Symbol& s) { return recipe.apply(node_, s, it->second); }));
      if (!set_gate) return y;
      return typed(label + "_gate", y, *set_gate, kGate);
    }
    if (linear && !set_gate && modelled_ && z.pending.empty()) return z;
    WEFT_TRY(const Bounds bounds, bounds_of(role));
    const auto type = set_gate ? *set_gate : recipe_.policy().default_intermediate(node_, kGate, bounds.lo, bounds.hi);
    return once(label, z, Domain::Rounded, [&](Recipe& recipe, const Symbol& s) -> Result<Symbol> {
      Symbol f = s;
      if (!linear) {
        WEFT_TRY(f, recipe.apply(node_, std::move(f), it->second));
      }
      return recipe.cast(node_, f, type, kGate);
    });
  }

  /// A state that goes to the next step: its type where one is set, or where nothing of the model bounds its grid.
  Result<Symbol> settled(const char* role, const Symbol& state, bool bounded, const Bounds& range,
                         const std::string& key = "") {
    const auto set = recipe_.policy().intermediate(node_, role);
    const bool plain = state.pending.empty() && state.typed;
    if (!set && bounded && plain) return state;
    const auto type = set ? *set : recipe_.policy().default_intermediate(node_, role, range.lo, range.hi);
    return typed(key.empty() ? role : key, state, type, role);
  }

  /// QKeras' state quantizer at the entry of a step.
  Result<Symbol> entering(const char* label, const Symbol& state) {
    if (!has_state_quantizer_) return state;
    return once(label, state, Domain::Reachable,
                [&](Recipe& recipe, const Symbol& s) { return recipe.apply(node_, s, node_.functions.at("state")); });
  }

  /// The exact sums of [parts...] with a stacked kernel.
  Result<Symbol> sums(const std::string& label, const std::vector<Symbol>& parts, const IntegerParameter& kernel,
                      const std::optional<IntegerParameter>& bias) {
    WEFT_TRY(const Symbol all, joined(node_, name(label + "_in"), recipe_, parts));
    if (!all.order_bound.empty()) note_bound(all);
    WEFT_TRY(Symbol out, product(node_, name(label), recipe_, {all.value, Rational(0)}, kernel, bias, ctx_));
    return out;
  }

  /// What float32 rounded in a state is not carried through products: the certificate says so.
  void note_bound(const Symbol& state) {
    auto& c = recipe_.certificate(node_.name, node_.op);
    c.word = std::max(c.word, Word::FloatOrder);
    c.bound = std::max(c.bound, *std::max_element(state.order_bound.begin(), state.order_bound.end()));
    recipe_.weaken(node_, Word::FloatOrder,
                   "a state needs more than 24 bits: the framework rounds it in float32 and carries that to the next "
                   "step");
  }

  // --- cells

  Result<void> step(const Symbol& xt) {
    if (node_.op == "LSTM") return lstm(xt);
    if (node_.op == "GRU") return gru(xt);
    WEFT_TRY(const Symbol h, entering("h_entering", h_));
    WEFT_TRY(Symbol z, sums("sum", {xt, h}, candidate_, bias_));
    WEFT_TRY(z, function("activation", "gate", std::move(z)));
    WEFT_TRY(const Bounds bounds, bounds_of("activation"));
    WEFT_TRY(h_, settled(kState, z, modelled_, bounds));
    return {};
  }

  Result<void> lstm(const Symbol& xt) {
    const std::int64_t u = r_.units;
    WEFT_TRY(const Symbol h, entering("h_entering", h_));
    WEFT_TRY(const Symbol c, entering("c_entering", c_));
    std::vector<Symbol> parts{xt, h};
    if (output_gate_) parts.push_back(c);
    const std::vector<std::int64_t> early =
        output_gate_ ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0, 1, 3};
    WEFT_TRY(Symbol gates, sums("gates_sum", parts, gates_, bias_of(bias_, early)));
    WEFT_TRY(gates, function("recurrent_activation", "gates", std::move(gates)));
    WEFT_TRY(const Symbol i, pick(node_, name("i"), recipe_, gates, 0, u));
    WEFT_TRY(const Symbol f, pick(node_, name("f"), recipe_, gates, u, u));
    WEFT_TRY(Symbol g, sums("candidate_sum", {xt, h}, candidate_, bias_of(bias_, {2})));
    WEFT_TRY(g, function("activation", "candidate", std::move(g)));
    WEFT_TRY(const Symbol kept, times(node_, name("kept"), recipe_, f, c));
    WEFT_TRY(const Symbol added, times(node_, name("added"), recipe_, i, g));
    WEFT_TRY(const Symbol cell, sum(node_, name("cell_sum"), recipe_, kept, added));
    WEFT_TRY(c_, settled(kCell, cell, modelled_ && has_state_quantizer_, {}));
    Symbol o;
    if (output_gate_) {
      WEFT_TRY(o, sums("output_sum", {xt, h, c_}, *output_gate_, bias_of(bias_, {3})));
      WEFT_TRY(o, function("recurrent_activation", "output", std::move(o)));
    } else {
      WEFT_TRY(o, pick(node_, name("o"), recipe_, gates, 2 * u, u));
    }
    const std::string shown_role = node_.functions.count("output_activation") != 0 ? "output_activation" : "activation";
    WEFT_TRY(const Symbol shown, function(shown_role, "shown", c_));
    WEFT_TRY(Symbol product, times(node_, name("h_product"), recipe_, o, shown));
    WEFT_TRY(const Bounds gate_bounds, bounds_of("recurrent_activation"));
    WEFT_TRY(const Bounds shown_bounds, bounds_of(shown_role));
    Bounds bounds = product_bounds(gate_bounds, shown_bounds);
    if (projection_) {
      WEFT_TRY(product, sums("projected", {product}, *projection_, std::nullopt));
      product.typed = product.typed && !chosen_;
      bounds = projected_bounds(bounds);
    }
    WEFT_TRY(h_, settled(kState, product, modelled_, bounds));
    return {};
  }

  /// Of any sum of the projection, when its operands have bounds.
  [[nodiscard]] Bounds projected_bounds(const Bounds& of) const {
    const double largest = std::max(std::fabs(of.lo), std::fabs(of.hi));
    if (!std::isfinite(largest)) return {};
    double most = 0.0;
    const auto columns = static_cast<std::size_t>(r_.hidden);
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0.0;
      for (std::size_t i = j; i < projection_->values.data.size(); i += columns)
        sum += std::fabs(static_cast<double>(projection_->values.data[i]));
      most = std::max(most, sum * largest);
    }
    return {-most, most};
  }

  static Bounds product_bounds(const Bounds& a, const Bounds& b) {
    const double most = std::max(std::fabs(a.lo), std::fabs(a.hi)) * std::max(std::fabs(b.lo), std::fabs(b.hi));
    if (!std::isfinite(most)) return {};
    return {a.lo < 0.0 || b.lo < 0.0 ? -most : 0.0, most};
  }

  Result<void> gru(const Symbol& xt) {
    const std::int64_t u = r_.units;
    const bool reset_after = get_bool(node_.attributes, std::string(kResetAfter), false);
    WEFT_TRY(const Symbol h, entering("h_entering", h_));
    WEFT_TRY(Symbol gates, gate_sums(xt, h));
    WEFT_TRY(gates, function("recurrent_activation", "gates", std::move(gates)));
    WEFT_TRY(const Symbol z, pick(node_, name("z"), recipe_, gates, 0, u));
    WEFT_TRY(const Symbol r, pick(node_, name("r"), recipe_, gates, u, u));
    Symbol candidate;
    if (reset_after) {
      WEFT_TRY(Symbol inner, sums("inner_sum", {h}, recurrent_kernels_[2], bias_of(recurrent_bias_, {2})));
      WEFT_TRY(inner, plain(inner, "inner"));
      WEFT_TRY(const Symbol reset, times(node_, name("reset"), recipe_, r, inner));
      WEFT_TRY(Symbol x, sums("candidate_x", {xt}, input_kernels_[2], bias_of(bias_, {2})));
      WEFT_TRY(x, plain(x, "candidate_x_typed"));
      WEFT_TRY(candidate, sum(node_, name("candidate_sum"), recipe_, x, reset));
      candidate.typed = candidate.typed && !chosen_;
    } else {
      WEFT_TRY(Symbol reset, times(node_, name("reset"), recipe_, r, h));
      if (!modelled_) {
        // r h is as fine as both together; the sums behind it need no more than the state's own grid.
        WEFT_TRY(reset, settled(kState, reset, false, state_bounds(), "reset_typed"));
      }
      WEFT_TRY(const auto bias, merged_bias(2));
      WEFT_TRY(candidate, sums("candidate_sum", {xt, reset}, candidate_, bias));
    }
    WEFT_TRY(candidate, function("activation", "candidate", std::move(candidate)));
    WEFT_TRY(const Symbol open, one_minus(node_, name("open"), recipe_, z));
    WEFT_TRY(const Symbol kept, times(node_, name("kept"), recipe_, z, h));
    WEFT_TRY(const Symbol added, times(node_, name("added"), recipe_, open, candidate));
    WEFT_TRY(const Symbol sum_of_both, sum(node_, name("h_sum"), recipe_, kept, added));
    WEFT_TRY(h_, settled(kState, sum_of_both, modelled_ && has_state_quantizer_, state_bounds()));
    return {};
  }

  /// h lies between the candidate's bounds and its start when z is in [0, 1].
  Bounds state_bounds() {
    const auto z = bounds_of("recurrent_activation");
    const auto candidate = bounds_of("activation");
    const bool start = r_.given > 1 || node_.parameters.count("initial_h") != 0;
    if (!z || !candidate || start || z->lo < 0.0 || z->hi > 1.0) return {};
    return *candidate;
  }

  /// Sums whose bias waits as a float32 step, or whose grid nobody declared, get a type before they are multiplied.
  Result<Symbol> plain(const Symbol& symbol, const std::string& label) {
    if (symbol.pending.empty() && symbol.typed) return symbol;
    if (symbol.pending.empty() && !recipe_.policy().intermediate(node_, kGateInput)) {
      int widest = 0;
      for (const auto& range : recipe_.value(symbol.value).ranges) widest = std::max(widest, fixed::width_bits(range));
      constexpr int kRoomForAProduct = 40;
      if (widest <= kRoomForAProduct) return symbol;
    }
    const auto set = recipe_.policy().intermediate(node_, kGateInput);
    const auto type = set ? *set : recipe_.policy().default_intermediate(node_, kGateInput, -kInfinity, kInfinity);
    return typed(label, symbol, type, kGateInput);
  }

  /// The two biases of one block as one: both are added to the same sum.
  Result<std::optional<IntegerParameter>> merged_bias(std::int64_t k) {
    return merged(bias_of(bias_, {k}), bias_of(recurrent_bias_, {k}));
  }

  Result<std::optional<IntegerParameter>> merged(std::optional<IntegerParameter> a,
                                                 const std::optional<IntegerParameter>& b) {
    if (!a) return std::optional<IntegerParameter>(b);
    if (!b) return a;
    for (std::size_t i = 0; i < a->values.data.size(); ++i) {
      const double exact = static_cast<double>(a->values.data[i]) + static_cast<double>(b->values.data[i]);
      a->values.data[i] += b->values.data[i];
      if (static_cast<double>(a->values.data[i]) != exact) {
        const double off = std::fabs(static_cast<double>(a->values.data[i]) - exact);
        a->uncertainty.resize(a->values.data.size(), 0.0F);
        a->uncertainty[i] += static_cast<float>(off);
      }
      if (!b->uncertainty.empty()) {
        a->uncertainty.resize(a->values.data.size(), 0.0F);
        a->uncertainty[i] += b->uncertainty[i];
      }
    }
    return a;
  }

  Result<Symbol> gate_sums(const Symbol& xt, const Symbol& h) {
    WEFT_TRY(const auto bias, merged(bias_of(bias_, {0, 1}), bias_of(recurrent_bias_, {0, 1})));
    return sums("gates_sum", {xt, h}, gates_, bias);
  }

  const nn::Node& node_;
  Recipe& recipe_;
  Context& ctx_;
  Recurrence r_;
  /// Some parameter has a type that the model did not give.
  bool chosen_ = false;
  /// Parameters and functions are the model's own quantizers throughout.
  bool modelled_ = false;
  bool has_state_quantizer_ = false;
  std::vector<IntegerParameter> input_kernels_;
  std::vector<IntegerParameter> recurrent_kernels_;
  IntegerParameter gates_;
  IntegerParameter candidate_;
  std::optional<IntegerParameter> output_gate_;
  std::optional<IntegerParameter> projection_;
  std::optional<exact::ValueId> mask_;
  std::optional<IntegerParameter> bias_;
  std::optional<IntegerParameter> recurrent_bias_;
  SharedFunctions functions_;
  Symbol h_;
  Symbol c_;
};

}  // namespace

Result<void> lower_recurrent(const nn::Node& node, Recipe& recipe, Context& ctx) {
  // The layer's own reference may move while values are added.
  return CellRecipe(node, recipe, ctx).lower();
}

}  // namespace weft::layers
