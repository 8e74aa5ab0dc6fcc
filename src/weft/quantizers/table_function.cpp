// SPDX-License-Identifier: Apache-2.0
// A function given by points (x, y) with ascending x: straight between them, or the y of the nearest or of the last x
// that is not greater. Before the first and behind the last point y stays.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/parameters.h"

namespace weft::quantizers {
namespace {

class Table final : public Function {
 public:
  enum class Mode { Linear, Nearest, Floor };
  Table(std::vector<float> xs, std::vector<float> ys, Mode mode) : xs_(std::move(xs)), ys_(std::move(ys)), mode_(mode) {
    // Directions may change at every point; between points y runs one way.
    for (const float x : xs_) turns_.push_back(x);
    if (mode == Mode::Nearest) {
      turns_.clear();
      for (std::size_t i = 0; i + 1 < xs_.size(); ++i) turns_.push_back(middle(i));
    }
  }
  [[nodiscard]] float apply(float x, std::size_t) const override {
    if (std::isnan(x)) return x;
    if (!(x > xs_.front())) return ys_.front();
    if (x >= xs_.back()) return ys_.back();
    // xs_[k] <= x < xs_[k + 1]
    const auto k = static_cast<std::size_t>(std::upper_bound(xs_.begin(), xs_.end(), x) - xs_.begin()) - 1;
    if (mode_ == Mode::Floor) return ys_[k];
    if (mode_ == Mode::Nearest) return static_cast<double>(x) < middle(k) ? ys_[k] : ys_[k + 1];
    const double part = (static_cast<double>(x) - xs_[k]) / (static_cast<double>(xs_[k + 1]) - xs_[k]);
    return static_cast<float>(ys_[k] + part * (static_cast<double>(ys_[k + 1]) - ys_[k]));
  }
  [[nodiscard]] std::vector<double> turning_points() const override { return turns_; }
  Result<Quantized> quantize(const FloatTensor&, const Origin& origin, Context& ctx) const override {
    return ctx.fail(Kind::QuantizerUnsupported, origin,
                    "`table` is a function, not a quantizer; it cannot quantize a parameter");
  }

 private:
  [[nodiscard]] double middle(std::size_t k) const {
    return 0.5 * (static_cast<double>(xs_[k]) + static_cast<double>(xs_[k + 1]));
  }
  std::vector<float> xs_, ys_;
  Mode mode_;
  std::vector<double> turns_;
};

}  // namespace

Family table_family() {
  return {
      .name = "table",
      .summary = "points (x, y): straight between them, or the nearest or the last one",
      .is_quantizer = false,
      .defaults = {{"x", std::vector<double>{0.0}}, {"y", std::vector<double>{0.0}}, {"mode", std::string("linear")}},
      .make = [](const Spec& spec, const Origin& origin, Context& ctx) -> Result<std::shared_ptr<const Function>> {
        Parameters parameters(spec, origin, ctx);
        auto xs = parameters.numbers("x");
        auto ys = parameters.numbers("y");
        const auto mode = parameters.word("mode", {"linear", "nearest", "floor"});
        if (xs.size() != ys.size()) parameters.fail(fmt::format("`x` has {} numbers and `y` {}", xs.size(), ys.size()));
        if (std::adjacent_find(xs.begin(), xs.end(), std::greater_equal<>()) != xs.end())
          parameters.fail("`x` does not ascend");
        if (!parameters.ok()) return diag::failure;
        return make_function<Table>(std::move(xs), std::move(ys),
                                    mode == "linear"    ? Table::Mode::Linear
                                    : mode == "nearest" ? Table::Mode::Nearest
                                                        : Table::Mode::Floor);
      }};
}

}  // namespace weft::quantizers
