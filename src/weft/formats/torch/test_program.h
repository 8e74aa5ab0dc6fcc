// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exported programs for tests, written by hand: a zip archive with JSON and raw weights.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <map>
#include <string>
#include <vector>

#include "weft/formats/torch/torch.h"
#include "weft/support/archive.h"

namespace weft::formats::torch {

/// Little-endian float32.
inline std::string raw(const std::vector<float>& values) {
  std::string out;
  for (const float v : values) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> (8 * i) & 0xff);
  }
  return out;
}

inline std::string sizes(const std::vector<std::int64_t>& list) {
  std::string out;
  for (const auto v : list) out += fmt::format("{}{{\"as_int\": {}}}", out.empty() ? "" : ", ", v);
  return "[" + out + "]";
}

inline std::string named(const std::string& name) { return fmt::format(R"({{"as_tensor": {{"name": "{}"}}}})", name); }

/// Builds the members of an archive in the layout since PyTorch 2.8.
struct TestProgram {
  std::map<std::string, std::string> values;  ///< tensor_values
  std::string nodes, specs, config;
  std::vector<std::string> outputs;
  std::map<std::string, std::string> members;
  int schema = 8;

  void value(const std::string& name, const std::vector<std::int64_t>& shape, int type = 7) {
    values[name] = fmt::format(R"({{"dtype": {}, "sizes": {}}})", type, sizes(shape));
  }
  void input(const std::string& name, const std::vector<std::int64_t>& shape, int type = 7) {
    value(name, shape, type);
    spec(fmt::format(R"({{"user_input": {{"arg": {}}}}})", named(name)));
  }
  void spec(const std::string& json) { specs += (specs.empty() ? "" : ", ") + json; }
  /// A parameter with these strides, whose storage holds `stored`.
  void parameter(const std::string& name, const std::vector<std::int64_t>& shape,
                 const std::vector<std::int64_t>& strides, std::int64_t offset, const std::vector<float>& stored) {
    value("p_" + name, shape);
    spec(fmt::format(R"({{"parameter": {{"arg": {{"name": "p_{0}"}}, "parameter_name": "{0}"}}}})", name));
    config += fmt::format(
        R"({}"{}": {{"path_name": "{}.bin", "is_param": true, "use_pickle": false, "tensor_meta": {{"dtype": 7, "sizes": {}, "strides": {}, "storage_offset": {{"as_int": {}}}, "layout": 7}}}})",
        config.empty() ? "" : ", ", name, name, sizes(shape), sizes(strides), offset);
    members[fmt::format("m/data/weights/{}.bin", name)] = raw(stored);
  }
  /// `arguments`: `"name": <argument>` in the file's JSON.
  void node(const std::string& target, const std::vector<std::pair<std::string, std::string>>& arguments,
            const std::string& output, const std::vector<std::int64_t>& shape) {
    std::string list;
    for (const auto& [name, json] : arguments)
      list += fmt::format(R"({}{{"name": "{}", "arg": {}, "kind": 1}})", list.empty() ? "" : ", ", name, json);
    nodes += fmt::format(R"({}{{"target": "torch.ops.{}", "inputs": [{}], "outputs": [{}], "metadata": {{}}}})",
                         nodes.empty() ? "" : ", ", target, list, named(output));
    value(output, shape);
  }
  [[nodiscard]] std::string json() const {
    std::string tensors, out;
    for (const auto& [name, meta] : values)
      tensors += fmt::format("{}\"{}\": {}", tensors.empty() ? "" : ", ", name, meta);
    for (const auto& name : outputs)
      out += fmt::format(R"({}{{"user_output": {{"arg": {}}}}})", out.empty() ? "" : ", ", named(name));
    return fmt::format(
        R"({{"graph_module": {{"graph": {{"nodes": [{}], "tensor_values": {{{}}}}}, "signature": {{"input_specs": [{}], "output_specs": [{}]}}}}, "schema_version": {{"major": {}, "minor": 0}}}})",
        nodes, tensors, specs, out, schema);
  }
  [[nodiscard]] std::string bytes() const {
    auto all = members;
    all["m/archive_format"] = "pt2";
    all["m/byteorder"] = "little";
    all["m/models/model.json"] = json();
    all["m/data/weights/model_weights_config.json"] = fmt::format(R"({{"config": {{{}}}}})", config);
    return zip(all);
  }
  static std::string zip(const std::map<std::string, std::string>& all) {
    diag::Engine engine;
    Context ctx{.diag = engine};
    auto out = support::write_zip(all, ctx);
    return out.ok() ? std::move(out).value() : std::string();
  }
};

}  // namespace weft::formats::torch
