// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/trees/trees.h"

#include "fuzz.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

// What is read must pass the schema and run on a row of zeros.
static bool run(const std::string& input) {
  Session session;
  auto graph = formats::trees::read_trees_bytes(input, "fuzz", session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  if (!checked) return false;
  const auto n = element_count(graph->tensors[0].shape);
  if (n > (1 << 16)) return true;
  const std::vector<float> x(static_cast<std::size_t>(n), 0.0F);
  if (!layers::run_float(*graph, {x}, 1, session.ctx)) throw Finding{"a checked forest does not run"};
  return true;
}

const Target kTarget{"trees",
                     run,
                     {"\"left_children\"", "\"split_conditions\"", "\"base_score\"", "[$l#L", "[$d#L",
                      "num_leaves=", "left_child=", "cat_threshold=", "leaf=", "0:[f", "-1", "4294967295", "1e400",
                      "nan", "\xff\xff\xff\xff"}};

}  // namespace weft::fuzz
