// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tflite/tflite.h"
#include "fuzz.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  auto graph = formats::tflite::read_tflite_bytes(input, "fuzz.tflite", session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

const Target kTarget{
    "tflite", run, {"TFL3", std::string_view("\x01\x00\x00\x00", 4), "\xff\xff\xff\xff", "\xff\xff\xff\x7f"}};

}  // namespace weft::fuzz
