// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/formats/torch/archive.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto tensors = formats::torch::read_pickled_tensors(input, "fuzz.pkl", session.ctx);
  check_reported(tensors.ok(), session);
  if (!tensors) return false;
  for (const auto& [name, view] : *tensors) {
    diag::Engine engine;
    Context ctx{.diag = engine, .limits = session.ctx.limits};
    // Any view of a small storage is decoded or refused.
    static_cast<void>(formats::torch::decode_view(view, std::string(64, '\1'), false, {}, ctx));
  }
  return true;
}

const Target kTarget{"torch_pickle",
                     run,
                     {"ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n",
                      "ctorch._utils\n_rebuild_parameter\n", "\x80\x02", "tQ", ")R", "tR", "}(", "u.", "h\x01", "q\x01",
                      "X\x01", "\x8a\x08", "\x8d"}};

}  // namespace weft::fuzz
