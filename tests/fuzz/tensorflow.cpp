// SPDX-License-Identifier: Apache-2.0
// Graphs, SavedModels and the index of their variables, which stand in one input: what it starts like is what it is.
#include "weft/formats/tensorflow/tensorflow.h"
#include "fuzz.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto read = [&]() -> Result<nn::Graph> {
    if (formats::tensorflow::looks_like_saved_model(input))
      return formats::tensorflow::read_saved_model_files({{"saved_model.pb", input}}, "fuzz", session.ctx);
    if (formats::tensorflow::looks_like_graph(input))
      return formats::tensorflow::read_graph_bytes(input, "fuzz.pb", session.ctx);
    // A small model that names one variable, so that the index is read.
    static const std::string model(
        "\x08\x01\x12\x22\x12\x00\x2a\x1e\x0a\x0fserving_default\x12\x0b\x12\x09\x0a\x01y\x12\x04\x0a\x02y:", 38);
    return formats::tensorflow::read_saved_model_files(
        {{"saved_model.pb", model}, {"variables/variables.index", input}}, "fuzz", session.ctx);
  };
  auto graph = read();
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

const Target kTarget{"tensorflow",
                     run,
                     {"Const", "Placeholder", "MatMul", "Conv2D", "Reshape", "StridedSlice", "Pack", "Shape", "value",
                      "serving_default", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}};

}  // namespace weft::fuzz
