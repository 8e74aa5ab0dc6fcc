// SPDX-License-Identifier: Apache-2.0
// QKeras' functions without parameters. binary_sigmoid and binary_tanh round half to even, so both take x = 0 down: to
// 0 and -1.
#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/plain_function.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

float twice_minus_one(float x) {
  const float twice = 2.0F * x;
  return twice - 1.0F;
}

class BinaryStep final : public SetQuantizer {
 public:
  explicit BinaryStep(bool is_tanh) : SetQuantizer({}), is_tanh_(is_tanh) {
    set_outputs(power_of_two_set(0, is_tanh ? -1 : 0, 1));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    const float step = rint_even(hard_sigmoid_f32(x));
    return is_tanh_ ? twice_minus_one(step) : step;
  }

 private:
  bool is_tanh_;
};

Family binary_step_family(std::string name, std::string summary, bool is_tanh) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .is_quantizer = true,
          .defaults = {},
          .make = [is_tanh](const Spec&, const Origin&, Context&) -> Result<std::shared_ptr<const Function>> {
            return make_function<BinaryStep>(is_tanh);
          }};
}

}  // namespace

Family hard_sigmoid_family() {
  return parameterless_family("hard_sigmoid", "QKeras clip(x/2 + 1/2, 0, 1)",
                              [](float x) { return hard_sigmoid_f32(x); });
}

Family smooth_sigmoid_family() {
  return parameterless_family("smooth_sigmoid", "QKeras clip(0.1875 x + 1/2, 0, 1)",
                              [](float x) { return smooth_sigmoid_f32(x); });
}

Family hard_tanh_family() {
  return parameterless_family("hard_tanh", "QKeras 2 hard_sigmoid(x) - 1",
                              [](float x) { return twice_minus_one(hard_sigmoid_f32(x)); });
}

Family smooth_tanh_family() {
  return parameterless_family("smooth_tanh", "QKeras 2 smooth_sigmoid(x) - 1",
                              [](float x) { return twice_minus_one(smooth_sigmoid_f32(x)); });
}

Family binary_sigmoid_family() {
  return binary_step_family("binary_sigmoid", "QKeras rint(hard_sigmoid(x)): 0 or 1, 0 for x = 0", false);
}

Family binary_tanh_family() {
  return binary_step_family("binary_tanh", "QKeras 2 binary_sigmoid(x) - 1: -1 or +1, -1 for x = 0", true);
}

}  // namespace weft::quantizers
