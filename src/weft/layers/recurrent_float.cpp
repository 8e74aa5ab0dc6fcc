// SPDX-License-Identifier: Apache-2.0
// Recurrent layers in float32: x W + b, then + h U, then the functions, as Keras' cells do it.
#include <algorithm>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/recurrent.h"

namespace weft::layers {
namespace {

using Rows = std::vector<float>;

/// A batch of a cell's states and the parameters as it computes with them.
class FloatCell {
 public:
  FloatCell(const nn::Node& node, FloatRun& run, Context& ctx)
      : node_(node), run_(run), ctx_(ctx), r_(recurrence_of(run.graph(), node)) {}

  Result<void> evaluate() {
    WEFT_TRY_VOID(load());
    const auto batch = static_cast<std::size_t>(run_.batch());
    const auto n = static_cast<std::size_t>(r_.inputs);
    const auto hidden = static_cast<std::size_t>(r_.hidden);
    const Rows& x = run_.input(node_, 0);
    Rows sequence(r_.sequences ? batch * static_cast<std::size_t>(r_.steps) * hidden : 0);
    Rows xt(batch * n);
    for (std::int64_t s = 0; s < r_.steps; ++s) {
      if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, node_.origin, "the run was interrupted");
      const auto row = static_cast<std::size_t>(r_.row(s));
      for (std::size_t b = 0; b < batch; ++b)
        std::copy_n(x.begin() + static_cast<std::ptrdiff_t>((b * static_cast<std::size_t>(r_.steps) + row) * n), n,
                    xt.begin() + static_cast<std::ptrdiff_t>(b * n));
      const Rows h = h_;
      const Rows c = c_;
      WEFT_TRY_VOID(step(xt));
      if (r_.masked) {
        keep_masked(row, h, h_);
        keep_masked(row, c, c_);
      }
      if (!r_.sequences) continue;
      const auto place = static_cast<std::size_t>(r_.realign ? r_.row(s) : s);
      Rows shown = h_;
      if (r_.zero_output) keep_masked(row, Rows(shown.size(), 0.0F), shown);
      for (std::size_t b = 0; b < batch; ++b)
        std::copy_n(
            shown.begin() + static_cast<std::ptrdiff_t>(b * hidden), hidden,
            sequence.begin() + static_cast<std::ptrdiff_t>((b * static_cast<std::size_t>(r_.steps) + place) * hidden));
    }
    run_.output(node_) = r_.sequences ? std::move(sequence) : h_;
    if (node_.outputs.size() > 1) run_.output(node_, 1) = h_;
    if (node_.outputs.size() > 2) run_.output(node_, 2) = c_;
    return {};
  }

 private:
  /// Samples whose mask of this row is 0 keep what they had before the step.
  void keep_masked(std::size_t row, const Rows& before, Rows& now) const {
    const auto batch = static_cast<std::size_t>(run_.batch());
    const Rows& mask = run_.input(node_, node_.inputs.size() - 1);
    const std::size_t width = batch == 0 ? 0 : now.size() / batch;
    for (std::size_t b = 0; b < batch; ++b) {
      if (mask[b * static_cast<std::size_t>(r_.steps) + row] != 0.0F) continue;
      for (std::size_t i = b * width; i < (b + 1) * width; ++i) now[i] = before[i];
    }
  }

  Result<void> load() {
    WEFT_TRY(kernel_, parameter_values(node_, "kernel", ctx_));
    WEFT_TRY(recurrent_, parameter_values(node_, "recurrent_kernel", ctx_));
    for (auto& [role, values] : {std::pair{"bias", &bias_}, std::pair{"recurrent_bias", &recurrent_bias_},
                                 std::pair{"peephole", &peephole_}, std::pair{"projection", &projection_}}) {
      if (node_.parameters.count(role) == 0) continue;
      WEFT_TRY(auto read, parameter_values(node_, role, ctx_));
      *values = std::move(read);
    }
    WEFT_TRY(h_, initial("initial_h", 1, r_.hidden));
    WEFT_TRY(c_, initial("initial_c", 2, r_.units));
    return {};
  }

  Result<Rows> initial(const char* role, std::size_t input, std::int64_t extent) {
    if (r_.given > input) return Rows(run_.input(node_, input));
    Rows out(static_cast<std::size_t>(run_.batch() * extent), 0.0F);
    if (node_.parameters.count(role) == 0) return out;
    WEFT_TRY(const auto values, parameter_values(node_, role, ctx_));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values.data[i % values.data.size()];
    return out;
  }

  /// Block `k` of rows with several blocks of units.
  [[nodiscard]] Rows block(const Rows& rows, std::int64_t k) const {
    const auto units = static_cast<std::size_t>(r_.units);
    const auto width = rows.size() / static_cast<std::size_t>(run_.batch());
    Rows out;
    out.reserve(static_cast<std::size_t>(run_.batch()) * units);
    for (std::size_t b = 0; b < static_cast<std::size_t>(run_.batch()); ++b) {
      const auto at = rows.begin() + static_cast<std::ptrdiff_t>(b * width + static_cast<std::size_t>(k) * units);
      out.insert(out.end(), at, at + r_.units);
    }
    return out;
  }

  Result<void> function(const char* role, Rows& rows) {
    if (role != std::string_view("output_activation")) {
      const double clip = get_double(node_.attributes, std::string(kClip), 0.0);
      const auto bound = static_cast<float>(clip);
      if (clip > 0.0)
        for (auto& v : rows) v = std::min(std::max(v, -bound), bound);
      run_.note(node_, kGateInput, rows);
    }
    // An LSTM's second function of the cell is the first one unless it has its own.
    const bool own = node_.functions.count(role) != 0;
    WEFT_TRY_VOID(apply_function(node_, own || role != std::string_view("output_activation") ? role : "activation",
                                 rows, r_.units, ctx_));
    run_.note(node_, kGate, rows);
    return {};
  }

  /// The state quantizer of QKeras.
  Result<Rows> quantized(const Rows& state, std::int64_t extent) {
    Rows out = state;
    WEFT_TRY_VOID(apply_function(node_, "state", out, extent, ctx_));
    return out;
  }

  Result<void> step(const Rows& xt) {
    WEFT_TRY(const Rows h, quantized(h_, r_.hidden));
    if (node_.op == "GRU") {
      WEFT_TRY_VOID(gru(xt, h));
    } else {
      Rows z;
      Rows recurrent;
      evaluate_dense(xt, kernel_, bias_ ? &*bias_ : nullptr, z);
      evaluate_dense(h, recurrent_, nullptr, recurrent);
      for (std::size_t i = 0; i < z.size(); ++i) z[i] += recurrent[i];
      if (node_.op == "LSTM") {
        WEFT_TRY_VOID(lstm(z));
      } else {
        WEFT_TRY_VOID(function("activation", z));
        h_ = std::move(z);
      }
    }
    run_.note(node_, kState, h_);
    return {};
  }

  void add_peephole(Rows& z, const Rows& c, std::size_t k) const {
    if (!peephole_) return;
    const auto units = static_cast<std::size_t>(r_.units);
    for (std::size_t i = 0; i < z.size(); ++i) z[i] += peephole_->data[k * units + i % units] * c[i];
  }

  Result<void> lstm(const Rows& z) {
    WEFT_TRY(const Rows c, quantized(c_, r_.units));
    Rows i = block(z, 0);
    Rows f = block(z, 1);
    Rows g = block(z, 2);
    Rows o = block(z, 3);
    add_peephole(i, c, 0);
    add_peephole(f, c, 1);
    WEFT_TRY_VOID(function("recurrent_activation", i));
    WEFT_TRY_VOID(function("recurrent_activation", f));
    WEFT_TRY_VOID(function("activation", g));
    for (std::size_t e = 0; e < c_.size(); ++e) {
      const float kept = f[e] * c[e];
      const float added = i[e] * g[e];
      c_[e] = kept + added;
    }
    run_.note(node_, kCell, c_);
    add_peephole(o, c_, 2);
    WEFT_TRY_VOID(function("recurrent_activation", o));
    Rows shown = c_;
    WEFT_TRY_VOID(function("output_activation", shown));
    for (std::size_t e = 0; e < o.size(); ++e) o[e] = o[e] * shown[e];
    if (projection_)
      evaluate_dense(o, *projection_, nullptr, h_);
    else
      h_ = std::move(o);
    return {};
  }

  Result<void> gru(const Rows& xt, const Rows& h) {
    Rows x;
    Rows recurrent;
    evaluate_dense(xt, kernel_, bias_ ? &*bias_ : nullptr, x);
    evaluate_dense(h, recurrent_, recurrent_bias_ ? &*recurrent_bias_ : nullptr, recurrent);
    Rows z = block(x, 0);
    Rows r = block(x, 1);
    Rows candidate = block(x, 2);
    const Rows hz = block(recurrent, 0);
    const Rows hr = block(recurrent, 1);
    for (std::size_t e = 0; e < z.size(); ++e) z[e] += hz[e];
    for (std::size_t e = 0; e < r.size(); ++e) r[e] += hr[e];
    WEFT_TRY_VOID(function("recurrent_activation", z));
    WEFT_TRY_VOID(function("recurrent_activation", r));
    Rows inner;
    if (get_bool(node_.attributes, std::string(kResetAfter), false)) {
      inner = block(recurrent, 2);
      for (std::size_t e = 0; e < inner.size(); ++e) inner[e] = r[e] * inner[e];
    } else {
      Rows reset = h;
      for (std::size_t e = 0; e < reset.size(); ++e) reset[e] = r[e] * reset[e];
      Rows all;
      evaluate_dense(reset, recurrent_, recurrent_bias_ ? &*recurrent_bias_ : nullptr, all);
      inner = block(all, 2);
    }
    for (std::size_t e = 0; e < candidate.size(); ++e) candidate[e] += inner[e];
    WEFT_TRY_VOID(function("activation", candidate));
    for (std::size_t e = 0; e < h_.size(); ++e) {
      const float kept = z[e] * h[e];
      const float open = 1.0F - z[e];
      const float added = open * candidate[e];
      h_[e] = kept + added;
    }
    return {};
  }

  const nn::Node& node_;
  FloatRun& run_;
  Context& ctx_;
  Recurrence r_;
  FloatTensor kernel_;
  FloatTensor recurrent_;
  std::optional<FloatTensor> bias_;
  std::optional<FloatTensor> recurrent_bias_;
  std::optional<FloatTensor> peephole_;
  std::optional<FloatTensor> projection_;
  Rows h_;
  Rows c_;
};

}  // namespace

Result<void> evaluate_recurrent(const nn::Node& node, FloatRun& run, Context& ctx) {
  return FloatCell(node, run, ctx).evaluate();
}

}  // namespace weft::layers
