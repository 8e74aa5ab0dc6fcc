// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the three Keras harnesses share.
#pragma once

#include <fstream>
#include <iterator>

#include "fuzz.h"
#include "weft/formats/keras/keras.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

/// Reads a model and checks it as the driver does; weights come from a sound file where a JSON needs them.
inline bool run_keras(const std::string& input, const char* name, const char* weights_file) {
  Session session;
  std::optional<formats::keras::NamedBytes> weights;
  if (weights_file != nullptr) {
    std::ifstream file(weights_file, std::ios::binary);
    weights = formats::keras::NamedBytes{"weights.h5", {std::istreambuf_iterator<char>(file), {}}};
  }
  auto graph = formats::keras::read_keras(formats::keras::NamedBytes{name, input}, std::move(weights), session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

}  // namespace weft::fuzz
