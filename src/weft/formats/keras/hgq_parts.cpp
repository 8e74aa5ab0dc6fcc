// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/hgq_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "weft/formats/keras/hgq_quantizer.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Ints = std::vector<std::int64_t>;

bool has(const std::string& letters, char c) { return letters.find(c) != std::string::npos; }

std::int64_t product(const Shape& shape) { return element_count(shape); }

/// Letters of `from` for which `keep` holds.
template <class Keep>
std::string filtered(const std::string& from, Keep keep) {
  std::string out;
  for (const char c : from)
    if (keep(c)) out += c;
  return out;
}

/// Places of `wanted` in `from`.
Ints places(const std::string& wanted, const std::string& from) {
  Ints out;
  for (const char c : wanted) out.push_back(static_cast<std::int64_t>(from.find(c)));
  return out;
}

Shape extents(const std::string& letters, const std::string& from, const Shape& shape) {
  Shape out;
  for (const char c : letters) out.push_back(shape[from.find(c)]);
  return out;
}

Shape operator+(Shape a, const Shape& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool is_identity(const Ints& permutation) {
  for (std::size_t i = 0; i < permutation.size(); ++i)
    if (permutation[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

std::optional<nn::TensorId> permute(const HgqPart& part, nn::TensorId x, const Ints& permutation,
                                    const std::string& suffix) {
  if (is_identity(permutation)) return x;
  return part.in.emit(part.label + suffix, "Permute", {x}, {{"permutation", permutation}});
}

std::optional<nn::TensorId> reshape(const HgqPart& part, nn::TensorId x, const Shape& shape,
                                    const std::string& suffix) {
  if (part.in.shape_of(x) == shape) return x;
  return part.in.emit(part.label + suffix, "Reshape", {x}, {{"shape", Ints(shape.begin(), shape.end())}});
}

/// Repeats a parameter over axes of extent 1.
nn::Parameter expanded(const nn::Parameter& parameter, const Shape& from, const Shape& to) {
  nn::Parameter out;
  out.values = FloatTensor(to);
  const auto count = static_cast<std::size_t>(element_count(to));
  if (parameter.quantized) {
    out.quantized = quantizers::Quantized{FloatTensor(to), IntTensor(to), parameter.quantized->scale};
  }
  for (std::size_t e = 0; e < count; ++e) {
    const auto source = tensor::broadcast_index(from, to, e);
    out.values.data[e] = parameter.values.data[source];
    if (!out.quantized) continue;
    out.quantized->values.data[e] = parameter.quantized->values.data[source];
    out.quantized->codes.data[e] = parameter.quantized->codes.data[source];
  }
  return out;
}

bool any_place(ConfigReader&) { return true; }

bool enabled(const HgqPart& part, std::string_view key, bool fallback) { return part.in.config.flag(key, fallback); }

nn::Parameter reshaped(nn::Parameter parameter, const Shape& shape) {
  parameter.values.shape = shape;
  if (parameter.quantized) parameter.quantized->values.shape = parameter.quantized->codes.shape = shape;
  return parameter;
}

}  // namespace

nn::Parameter permuted(const nn::Parameter& parameter, const Ints& permutation, Shape shape) {
  nn::Parameter out;
  out.values = tensor::permute(parameter.values, permutation);
  if (parameter.quantized) {
    out.quantized =
        quantizers::Quantized{tensor::permute(parameter.quantized->values, permutation),
                              tensor::permute(parameter.quantized->codes, permutation), parameter.quantized->scale};
  }
  return reshaped(std::move(out), shape);
}

std::optional<FloatTensor> read_own(const HgqPart& part, std::string_view name,
                                    const std::vector<std::string_view>& order, const Shape& shape) {
  auto& in = part.in;
  if (!in.variables) return std::nullopt;
  const auto place = std::find(order.begin(), order.end(), name) - order.begin();
  const std::string numbered = fmt::format("{}vars/{}", part.path, place);
  auto values = read_variable(in, in.variables->count(numbered) != 0 ? numbered : part.path + std::string(name));
  const auto fits = [&](const Shape& have) {
    return std::equal(have.begin(), have.end(), shape.begin(), shape.end(),
                      [](std::int64_t h, std::int64_t w) { return w == -1 || h == w; });
  };
  if (values && !fits(values->shape)) {
    in.config.fail(Kind::ShapeMismatch, fmt::format("weight `{}{}` has shape {}, the layer needs {}", part.path, name,
                                                    weft::to_string(values->shape), weft::to_string(shape)));
    return std::nullopt;
  }
  return values;
}

std::optional<nn::TensorId> quantized(const HgqPart& part, nn::TensorId x, const Json* conf, const std::string& name,
                                      const std::string& suffix) {
  auto& in = part.in;
  const Shape shape = in.shape_of(x);
  auto spec = read_hgq(in, name + "_conf", part.path + name, shape, true, conf);
  if (!spec) return std::nullopt;
  nn::Node node;
  node.name = in.node.name + part.label + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = std::move(*spec);
  return in.emit(std::move(node));
}

std::optional<nn::Parameter> fixed_parameter(const HgqPart& part, FloatTensor values, const Json* conf,
                                             const std::string& name) {
  auto& in = part.in;
  const auto spec = read_hgq(in, name + "_conf", part.path + name, values.shape, false, conf);
  if (!spec) return std::nullopt;
  const auto function = quantizers::make(*spec, in.config.origin(), in.config.context());
  if (function) {
    auto done = (*function)->quantize(values, in.config.origin(), in.config.context());
    if (done) {
      nn::Parameter out;
      out.values = done->values;
      out.quantized = std::move(done).value();
      return out;
    }
  }
  in.config.fail_reported();
  return std::nullopt;
}

std::optional<Equation> parse_equation(LayerImport& in, const std::string& text, std::size_t rank) {
  const auto refuse = [&](const std::string& why) -> std::optional<Equation> {
    in.config.fail(Kind::AttributeUnsupported, fmt::format("`equation` is `{}`: {}", text, why));
    return std::nullopt;
  };
  std::string equation = filtered(text, [](char c) { return c != ' '; });
  const auto comma = equation.find(',');
  const auto arrow = equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma)
    return refuse("it has no input, kernel and output");
  Equation out{equation.substr(0, comma), equation.substr(comma + 1, arrow - comma - 1), equation.substr(arrow + 2)};
  std::string open;
  for (auto* part : {&out.x, &out.y}) {
    const auto dots = part->find("...");
    if (dots == std::string::npos) continue;
    if (open.empty()) {
      const std::size_t named = part->size() - 3;
      if (part == &out.y || named > rank + 1) return refuse("the ellipsis does not fit the input");
      // Characters that no equation has.
      for (std::size_t a = named; a < rank + 1; ++a) open += static_cast<char>(1 + a);
    }
    part->replace(dots, 3, open);
  }
  if (out.x.size() != rank + 1) return refuse(fmt::format("the input has {} axes", rank));
  for (const auto* part : {&out.x, &out.w, &out.y}) {
    if (std::set<char>(part->begin(), part->end()).size() != part->size() || has(*part, '.') || part->size() > 32)
      return refuse("a letter stands twice");
  }
  if (out.y.empty() || out.x[0] != out.y[0] || has(out.w, out.x[0]))
    return refuse("the first axis has to be the batch, of the input and the output only");
  for (const char c : out.x)
    if (!has(out.w, c) && !has(out.y, c)) return refuse("an axis of the input is summed without the kernel");
  for (const char c : out.w)
    if (!has(out.x, c) && !has(out.y, c)) return refuse("an axis of the kernel is summed without the input");
  for (const char c : out.y)
    if (!has(out.x, c) && !has(out.w, c)) return refuse("an axis of the output is in no factor");
  return out;
}

// x with its axes as [kept, shared, summed] times the kernel as [summed, made], one for each index of the shared axes:
// a dense layer, or a convolution of one pixel with as many groups.
std::optional<nn::TensorId> einsum_dense(const HgqPart& part, nn::TensorId x, const Equation& equation,
                                         const nn::Parameter& kernel, const std::optional<nn::Parameter>& bias,
                                         const std::string& bias_letters) {
  auto& in = part.in;
  const std::string ex = equation.x.substr(1);
  const std::string ey = equation.y.substr(1);
  const auto& ew = equation.w;
  const Shape x_shape = in.shape_of(x);
  const Shape w_shape = kernel.values.shape;
  for (const char c : ew) {
    if (!has(ex, c) || x_shape[ex.find(c)] == w_shape[ew.find(c)]) continue;
    in.config.fail(Kind::ShapeMismatch, fmt::format("the kernel {} does not fit the input {}", weft::to_string(w_shape),
                                                    weft::to_string(x_shape)));
    return std::nullopt;
  }
  const auto kept = filtered(ex, [&](char c) { return !has(ew, c); });
  const auto shared = filtered(ex, [&](char c) { return has(ew, c) && has(ey, c); });
  const auto summed = filtered(ex, [&](char c) { return has(ew, c) && !has(ey, c); });
  const auto made = filtered(ey, [&](char c) { return !has(ex, c); });
  const Shape kept_shape = extents(kept, ex, x_shape);
  const Shape shared_shape = extents(shared, ex, x_shape);
  const Shape made_shape = extents(made, ew, w_shape);
  const auto groups = product(shared_shape);
  const auto sum = product(extents(summed, ex, x_shape));
  const auto outputs = product(made_shape);

  auto moved = permute(part, x, places(kept + shared + summed, ex), "_in");
  nn::Node node;
  node.name = in.node.name + part.label + "_product";
  if (moved && shared.empty()) {
    moved = reshape(part, *moved, kept_shape + Shape{sum}, "_flat");
    node.op = "Dense";
    node.parameters["kernel"] = permuted(kernel, places(summed + made, ew), {sum, outputs});
  } else if (moved) {
    moved = reshape(part, *moved, {product(kept_shape), groups * sum}, "_flat");
    node.op = "Conv";
    node.attributes = {
        {"strides", Ints{1}}, {"dilations", Ints{1}}, {"padding", std::string("valid")}, {"groups", groups}};
    node.parameters["kernel"] = permuted(kernel, places(summed + shared + made, ew), {1, sum, groups * outputs});
  }
  if (!moved) return std::nullopt;
  const auto in_channels = [&](char c) { return has(shared, c) || has(made, c); };
  const bool inner_bias = bias && std::all_of(bias_letters.begin(), bias_letters.end(), in_channels);
  const auto extent_of = [&](char c) { return has(ex, c) ? x_shape[ex.find(c)] : w_shape[ew.find(c)]; };
  /// The bias with its axes where `letters` have them, 1 elsewhere.
  const auto spread = [&](const std::string& letters) {
    const auto order = filtered(letters, [&](char c) { return has(bias_letters, c); });
    Shape shape;
    for (const char c : letters) shape.push_back(has(bias_letters, c) ? extent_of(c) : 1);
    Shape own;
    for (const char c : bias_letters) own.push_back(extent_of(c));
    return permuted(reshaped(*bias, own), places(order, bias_letters), shape);
  };
  if (inner_bias) {
    const auto full = shared + made;
    Shape to;
    for (const char c : full) to.push_back(extent_of(c));
    const auto b = spread(full);
    node.parameters["bias"] = reshaped(expanded(b, b.values.shape, to), {groups * outputs});
  }
  node.inputs = {*moved};
  auto y = in.emit(std::move(node));
  if (y) y = reshape(part, *y, kept_shape + shared_shape + made_shape, "_axes");
  if (y) y = permute(part, *y, places(ey, kept + shared + made), "_out");
  if (!y || !bias || inner_bias) return y;
  nn::Node add;
  add.name = in.node.name + part.label + "_bias";
  add.op = "Add";
  add.inputs = {*y};
  add.parameters["constant"] = spread(ey);
  return in.emit(std::move(add));
}

std::optional<std::string> without_batch(const std::string& equation, std::size_t rank_a, std::size_t rank_b) {
  const auto comma = equation.find(',');
  const auto arrow = equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma || equation.size() > 64)
    return std::nullopt;
  const std::string parts[] = {equation.substr(0, comma), equation.substr(comma + 1, arrow - comma - 1),
                               equation.substr(arrow + 2)};
  if (parts[0].size() != rank_a + 1 || parts[1].size() != rank_b + 1) return std::nullopt;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& p = parts[i];
    if (p.empty() || p[0] != parts[0][0]) return std::nullopt;
    for (const char c : p) {
      if (std::isalpha(static_cast<unsigned char>(c)) == 0 || std::count(p.begin(), p.end(), c) != 1)
        return std::nullopt;
      // An output axis of no factor, or a sum over an axis of one factor alone.
      const bool known = i == 2 ? has(parts[0], c) || has(parts[1], c) : has(parts[1 - i], c) || has(parts[2], c);
      if (!known) return std::nullopt;
    }
  }
  return parts[0].substr(1) + "," + parts[1].substr(1) + "->" + parts[2].substr(1);
}

std::optional<nn::TensorId> contract(const HgqPart& part, nn::TensorId a, nn::TensorId b, const std::string& equation,
                                     const std::string& suffix) {
  const auto comma = equation.find(',');
  const auto arrow = equation.find("->");
  const std::string ea = equation.substr(0, comma);
  const std::string eb = equation.substr(comma + 1, arrow - comma - 1);
  const std::string ey = equation.substr(arrow + 2);
  const auto summed = filtered(ea, [&](char c) { return has(eb, c) && !has(ey, c); });
  const std::string all = ey + summed;
  /// A tensor with its axes where `all` has them, 1 elsewhere.
  const auto aligned = [&](nn::TensorId t, const std::string& letters,
                           const std::string& name) -> std::optional<nn::TensorId> {
    const Shape shape = part.in.shape_of(t);
    const auto order = filtered(all, [&](char c) { return has(letters, c); });
    const auto moved = permute(part, t, places(order, letters), suffix + name);
    if (!moved) return std::nullopt;
    Shape wide;
    for (const char c : all) wide.push_back(has(letters, c) ? shape[letters.find(c)] : 1);
    return reshape(part, *moved, wide, suffix + name + "_wide");
  };
  const auto wide_a = aligned(a, ea, "_a");
  const auto wide_b = aligned(b, eb, "_b");
  if (!wide_a || !wide_b) return std::nullopt;
  const auto products = part.in.emit(part.label + suffix + "_products", "Mul", {*wide_a, *wide_b});
  if (!products || summed.empty()) return products;
  Ints axes;
  for (std::size_t i = ey.size(); i < all.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  return part.in.emit(part.label + suffix, "ReduceSum", {*products}, {{"axes", axes}, {"keepdims", false}});
}

std::optional<nn::TensorId> dot_product(const HgqPart& part, nn::TensorId a, nn::TensorId b, std::int64_t axis_a,
                                        std::int64_t axis_b) {
  auto& in = part.in;
  std::string letters[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto rank = static_cast<std::int64_t>(in.shape_of(i == 0 ? a : b).size());
    const auto given = i == 0 ? axis_a : axis_b;
    const auto axis = given < 0 ? given + rank : given - 1;
    if (axis < 0 || axis >= rank || rank > 10) {
      in.config.fail(Kind::AttributeUnsupported, "`axes` has the batch or no axis of the input");
      return std::nullopt;
    }
    for (std::int64_t d = 0; d < rank; ++d) letters[i] += d == axis ? 'z' : static_cast<char>((i == 0 ? 'a' : 'm') + d);
  }
  const auto y = filtered(letters[0] + letters[1], [](char c) { return c != 'z'; });
  const auto extent = [&](std::size_t i, nn::TensorId t) { return in.shape_of(t)[letters[i].find('z')]; };
  if (extent(0, a) != extent(1, b)) {
    in.config.fail(Kind::ShapeMismatch,
                   fmt::format("axes of {} and {} elements are multiplied", extent(0, a), extent(1, b)));
    return std::nullopt;
  }
  const auto out = contract(part, a, b, letters[0] + "," + letters[1] + "->" + y, "_dot");
  if (!out || !y.empty()) return out;
  return in.emit(part.label + "_row", "Reshape", {*out}, {{"shape", Ints{1}}});
}

std::optional<nn::TensorId> input_quantized(const HgqPart& part, nn::TensorId x) {
  if (!enabled(part, "enable_iq", true)) return x;
  return quantized(part, x, part.in.config.find("iq_conf"), "iq", "_iq");
}

void finish_quantized(const HgqPart& part, std::optional<nn::TensorId> y) {
  if (y && enabled(part, "enable_oq", false)) y = quantized(part, *y, part.in.config.find("oq_conf"), "oq", "_oq");
  part.in.finish(y);
}

nn::Node with_constant(const HgqPart& part, const std::string& suffix, const std::string& op, nn::TensorId x,
                       nn::Parameter constant) {
  nn::Node node;
  node.name = part.in.node.name + part.label + suffix;
  node.op = op;
  node.inputs = {x};
  node.parameters["constant"] = std::move(constant);
  return node;
}

std::optional<nn::TensorId> scaled(const HgqPart& part, nn::TensorId x, float factor, const std::string& suffix) {
  if (factor == 1.0F) return x;
  return part.in.emit(with_constant(part, suffix, "Mul", x, {FloatTensor({}, {factor}), {}, {}}));
}

LayerRow hgq_row(std::string_view class_name, std::string_view op, std::vector<std::string_view> used,
                 const std::vector<std::string_view>& ignored, void (*import)(LayerImport&)) {
  used.insert(used.end(), {"enable_oq", "enable_iq", "oq_conf", "iq_conf", "iq_confs", "kq_conf", "bq_conf",
                           "enable_ebops", "activation"});
  auto all = dense_ignored();
  all.insert(all.end(), {"beta0", "ebops_factor", "parallelization_factor"});
  all.insert(all.end(), ignored.begin(), ignored.end());
  return {.class_name = class_name,
          .package = "hgq",
          .op = op,
          .used = std::move(used),
          .ignored = std::move(all),
          .refused = dense_refused(),
          .weights = {{.name = "*", .present = any_place}},
          .import = import,
          .by_path = true};
}

}  // namespace weft::formats::keras
