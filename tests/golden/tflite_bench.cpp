// SPDX-License-Identifier: Apache-2.0
#include "tflite_bench.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>

#include "weft/emulate/emulator.h"
#include "weft/layers/float_run.h"
#include "weft/lower/lower.h"
#include "weft/support/arrays.h"

namespace weft::golden {

const Ints& Case::any(std::initializer_list<const char*> keys) const {
  for (const auto* key : keys)
    if (has(key)) return arrays.at(key);
  throw std::runtime_error(name + " lacks an array");
}

std::int64_t Case::number(const std::string& key) const {
  if (!numbers.contains(key)) throw std::runtime_error(name + " lacks " + key);
  return numbers[key].get<std::int64_t>();
}

std::int64_t Case::number(const std::string& key, std::int64_t fallback) const {
  return numbers.contains(key) ? numbers[key].get<std::int64_t>() : fallback;
}

Case load_case(const std::filesystem::path& path) {
  diag::Engine engine;
  Context ctx{engine};
  Case out;
  out.name = path.stem().string();
  const auto arrays = support::read_arrays(path, ctx);
  if (!arrays) throw std::runtime_error("cannot read " + path.string());
  std::string upper;
  for (const char c : out.name) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto& [key, array] : *arrays) {
    const auto& values = std::get<Ints>(array.data);
    if (key == "defines_json") {
      const std::string text(values.begin(), values.end());
      const auto json = support::parse_json(text, "defines", ctx);
      for (const auto& [name, value] : json->items())
        out.numbers[name.starts_with(upper + "_") ? name.substr(upper.size() + 1) : name] = value;
    } else {
      const std::string prefix = "a_" + out.name + "_";
      out.arrays[key.starts_with(prefix) ? key.substr(prefix.size()) : key] = values;
    }
  }
  return out;
}

Ints unpacked(const Ints& packed, std::size_t count) {
  if (packed.size() == count) return packed;
  Ints out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned>(packed.at(i / 2)) & 255U;
    const auto nibble = static_cast<std::int64_t>(i % 2 == 0 ? byte & 15U : byte >> 4);
    out.push_back(nibble >= 8 ? nibble - 16 : nibble);
  }
  return out;
}

nn::Parameter codes_parameter(const Shape& shape, const Ints& codes) {
  nn::Parameter out;
  out.values = FloatTensor(shape, std::vector<float>(codes.begin(), codes.end()));
  out.quantized = quantizers::Quantized{out.values, IntTensor(shape, codes), Scale()};
  return out;
}

nn::TensorId Bench::input(const std::string& name, const Shape& shape, std::int64_t lo, std::int64_t hi) {
  const auto x = graph_.add_tensor(name, shape);
  graph_.inputs.push_back({name, x});
  nn::Node node = make("Activation", name + "/codes", {x});
  node.functions["activation"] = {"tflite_quantize",
                                  {{"scale", 1.0}, {"zero_point", std::int64_t{0}}, {"lo", lo}, {"hi", hi}}};
  return place(std::move(node));
}

nn::Node Bench::make(const std::string& op, const std::string& name, std::vector<nn::TensorId> inputs) {
  nn::Node node;
  node.op = op;
  node.name = name;
  node.origin = {graph_.file, name, op, ""};
  if (op.starts_with("Integer")) {
    node.attributes["scales"] = std::vector<double>(std::max<std::size_t>(inputs.size(), 2), 1.0);
    node.attributes["scale"] = 1.0;
  }
  node.inputs = std::move(inputs);
  return node;
}

nn::TensorId Bench::place(nn::Node node) {
  const auto id = graph_.add_tensor(node.name, {});
  node.outputs = {id};
  graph_.nodes.push_back(std::move(node));
  return id;
}

std::pair<Ints, Ints> Bench::run(const std::vector<Ints>& inputs, std::size_t samples) {
  diag::Engine engine;
  Context ctx{engine};
  const auto said = [&] {
    std::string out;
    for (const auto& d : engine.all()) out += diag::to_text(d);
    return out;
  };
  if (!layers::check(graph_, ctx)) throw std::runtime_error(said());
  std::vector<std::vector<float>> reals;
  for (const auto& codes : inputs) reals.emplace_back(codes.begin(), codes.end());
  const auto floats = layers::run_float(graph_, reals, static_cast<std::int64_t>(samples), ctx);
  if (!floats) throw std::runtime_error(said());
  Ints first;
  for (const float v : (*floats)[graph_.outputs[0].tensor.index]) first.push_back(std::llround(v));
  const auto lowered = lower::lower(graph_, {}, ctx);
  if (!lowered) throw std::runtime_error(said());
  EXPECT_EQ(lowered->network, layers::Word::Exact) << graph_.name;
  Ints second;
  for (std::size_t s = 0; s < samples; ++s) {
    std::vector<std::vector<Int>> codes;
    for (const auto& in : inputs) {
      const std::size_t n = in.size() / samples;
      codes.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(s * n),
                         in.begin() + static_cast<std::ptrdiff_t>((s + 1) * n));
    }
    const auto result = emulate::run_plain(lowered->graph, codes);
    for (const Int code : result.values[lowered->graph.outputs[0].value.index])
      second.push_back(static_cast<std::int64_t>(code));
  }
  return {first, second};
}

Ints plus(Ints values, std::int64_t offset) {
  for (auto& v : values) v += offset;
  return values;
}

bool matches(Bench& bench, const std::vector<Ints>& inputs, std::size_t samples, const Ints& expected,
             std::int64_t zero_point) {
  const auto [real, exact] = bench.run(inputs, samples);
  EXPECT_EQ(real, exact);
  return plus(exact, zero_point) == expected;
}

}  // namespace weft::golden
