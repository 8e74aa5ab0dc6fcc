// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::driver {
namespace {

/// The first note of a layer that has one of these words in it.
std::string note_with(const layers::LayerCertificate& c, std::initializer_list<std::string_view> words) {
  for (const auto& note : c.notes)
    for (const auto& word : words)
      if (note.find(word) != std::string::npos) return note;
  return {};
}

/// The code stands at an end of its range, and the reference lies beyond it.
bool saturates(const Difference& d) {
  if (d.value == nullptr || d.element >= d.value->ranges.size()) return false;
  const auto& range = d.value->ranges[d.element];
  const float lo = exact::read_out(*d.value, {}, d.element, range.lo);
  const float hi = exact::read_out(*d.value, {}, d.element, range.hi);
  return (d.exact >= hi && d.reference > hi) || (d.exact <= lo && d.reference < lo);
}

}  // namespace

InputRows quantized_inputs(const Session& session, const InputRows& rows, bool& changed) {
  InputRows out = rows;
  changed = false;
  for (std::size_t i = 0; i < session.exact.inputs.size(); ++i) {
    const auto& input = session.exact.inputs[i];
    const auto& value = session.exact.at(input.value);
    const auto n = static_cast<std::size_t>(std::max<std::int64_t>(element_count(value.shape), 1));
    for (std::size_t k = 0; k < out.inputs[i].size(); ++k) {
      bool saturated = false;
      auto& x = out.inputs[i][k];
      const float back = exact::read_out(value, {}, k % n, exact::convert_input(input.conversion, x, saturated));
      changed = changed || back != x;
      x = back;
    }
  }
  return out;
}

Reason explain(const Session& session, const std::string& layer, const Difference& d) {
  if (d.equal_behind_inputs)
    return {"input-quantization", "the inputs were rounded to the input type; behind that the layer is equal"};
  if (!d.inherited_from.empty())
    return {"inherited", fmt::format("`{}` in front of it differs already", d.inherited_from)};
  const auto c = std::find_if(session.certificate.begin(), session.certificate.end(),
                              [&](const auto& row) { return row.layer == layer; });
  if (saturates(d))
    return {"saturation", fmt::format("the result lies outside of {} and was clipped", type_text(*d.value))};
  if (c == session.certificate.end()) return {"kernel", "the framework's float32 rounding"};
  if (auto note = note_with(*c, {"accumulator"}); !note.empty()) return {"accumulator", std::move(note)};
  if (auto note = note_with(*c, {"table", "piecewise"}); !note.empty()) return {"table", std::move(note)};
  const double step = d.value == nullptr ? 0.0 : fixed::to_double(d.value->scale.at(0));
  auto result = note_with(*c, {"result as", "as hls4ml"});
  if (!result.empty() && std::fabs(d.reference - d.exact) <= step) return {"result-type", std::move(result)};
  if (auto note = note_with(*c, {"kernel as", "bias as", "gamma as", "constant as", " as fixed<", " as ufixed<"});
      !note.empty() && note != result)
    return {"parameter-type", std::move(note)};
  if (!result.empty()) return {"result-type", std::move(result)};
  if (c->word == layers::Word::FloatOrder)
    return {"float-order", c->bound > 0.0
                               ? fmt::format("the framework's order of float additions makes up to {:.3g}", c->bound)
                               : std::string("the framework's float32 operations round otherwise here")};
  return {"kernel", c->notes.empty() ? "the framework's float32 rounding" : c->notes.front()};
}

}  // namespace weft::driver
