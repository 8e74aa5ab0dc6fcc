// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/formats/torch/torch.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  static_cast<void>(formats::torch::recognize(input));
  auto graph = formats::torch::read_pt2_bytes(input, "fuzz.pt2", session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

const Target kTarget{"pt2",
                     run,
                     {"\"as_int\": ",
                      "\"as_ints\": ",
                      "\"as_tensor\": ",
                      "\"as_tensors\": ",
                      "\"as_sym_int\": ",
                      "\"as_float\": ",
                      "\"as_none\": true",
                      "torch.ops.aten.",
                      "conv2d.default",
                      "view.default",
                      "transpose.int",
                      "linear.default",
                      "cat.default",
                      "lstm.input",
                      "\"dtype\": 7",
                      "\"strides\": ",
                      "null",
                      "[]",
                      "{}",
                      "-1",
                      "1e99",
                      "9223372036854775807"},
                     mutate_archive};

}  // namespace weft::fuzz
