// SPDX-License-Identifier: Apache-2.0
// Step functions: Quant where the function is a rounding to a number of bits, else counted thresholds.
#include "weft/formats/onnx/graph_writer.h"

namespace weft::formats::onnx {
namespace {

/// Quant when the function is one for every channel, or nullopt.
std::optional<std::string> quant_of(GraphWriter& w, const exact::Value& value, const exact::Requant& p,
                                    diag::Failure* failed) {
  const auto& x = w.at(p.x);
  const std::size_t channels = GraphWriter::channels_of(value);
  const auto by_element = [&](std::size_t count) { return count != 1 && count != channels; };
  if (by_element(p.functions.size()) || by_element(x.scale.factors.size()) || by_element(value.scale.factors.size()))
    return std::nullopt;
  std::optional<Bits> bits;
  std::optional<std::string> rounding;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto* f = std::get_if<fixed::ShiftRound>(&p.functions[p.functions.size() == 1 ? 0 : c]);
    if (f == nullptr || f->overflow != fixed::Overflow::Sat || std::abs(f->shift) > 60) return std::nullopt;
    const Rational ratio = value.scale.at(value.scale.per_tensor() ? 0 : c) / x.scale.at(x.scale.per_tensor() ? 0 : c);
    if (ratio != fixed::pow2(f->shift) || !exact_float(value.scale.at(value.scale.per_tensor() ? 0 : c)))
      return std::nullopt;
    fixed::Range r = x.ranges[c];
    for (std::size_t e = c; e < x.ranges.size(); e += channels) r = fixed::unite(r, x.ranges[e]);
    const fixed::Range rounded{fixed::round_shift(r.lo, f->shift, f->rounding),
                               fixed::round_shift(r.hi, f->shift, f->rounding), 0};
    const auto own = bits_for(f->lo, f->hi, rounded);
    const auto name = rounding_name(f->rounding);
    if (!own || !name || (rounding && *rounding != *name)) return std::nullopt;
    // One range for all channels.
    if (bits && (bits->lo() != own->lo() || bits->hi() != own->hi())) return std::nullopt;
    bits = own;
    rounding = name;
  }
  if (w.is_qcdq() && (bits->bits > 16 || *rounding != "ROUND")) return std::nullopt;
  std::vector<float> scale;
  for (const auto& factor : value.scale.factors) scale.push_back(*exact_float(factor));
  auto y = w.quantizer(value, w.tensor(p.x), scale, 0.0F, *bits, *rounding);
  if (!y) {
    *failed = diag::failure;
    return std::nullopt;
  }
  return *y;
}

void expand(std::vector<std::vector<float>>& rows, std::size_t elements) {
  const std::size_t n = rows.size();
  for (std::size_t e = n; e < elements; ++e) rows.push_back(rows[e % n]);
}
std::string thresholds(GraphWriter& w, const exact::Value& value, const std::string& x,
                       const std::vector<std::vector<float>>& rows, float scale, float bias) {
  std::size_t steps = 1;
  for (const auto& row : rows) steps = std::max(steps, row.size());
  std::vector<float> matrix;
  for (const auto& row : rows) {
    matrix.insert(matrix.end(), row.begin(), row.end());
    matrix.insert(matrix.end(), steps - row.size(), 3.0e38F);  // never passed
  }
  onnx_proto::NodeProto* node = nullptr;
  const std::string y = w.out().apply(
      "MultiThreshold",
      {x, w.out().floats(value.name + "_thresholds",
                         {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(steps)}, matrix)},
      value.name, &node, kQonnx);
  ModelWriter::set(node, "out_scale", scale);
  ModelWriter::set(node, "out_bias", bias);
  ModelWriter::set(node, "out_dtype", std::string("FLOAT32"));
  ModelWriter::set(node, "data_layout", std::string("NC"));
  return y;
}

}  // namespace

Result<std::string> write_requant(GraphWriter& w, const exact::Value& value, const exact::Requant& p) {
  diag::Failure failed = diag::failure;
  if (auto quant = quant_of(w, value, p, &failed)) return *quant;
  if (w.is_qcdq()) return w.unsupported(value, "its step function is no QuantizeLinear; export QONNX");
  // Thresholds: counted up where the function steps up, counted down where it steps down.
  const auto& x = w.at(p.x);
  const std::size_t elements = value.ranges.size();
  const std::size_t rows = std::max({p.functions.size(), x.scale.factors.size(), value.scale.factors.size()});
  std::vector<std::vector<float>> up(rows);
  std::vector<std::vector<float>> down(rows);
  std::vector<Int> start(rows);
  std::size_t total = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto& f = p.functions[p.functions.size() == 1 ? 0 : row];
    fixed::Range r = x.ranges[rows == 1 ? 0 : row];
    for (std::size_t e = row; e < elements; e += rows == 1 ? 1 : rows) r = fixed::unite(r, x.ranges[e]);
    const auto pieces = fixed::to_pieces(f, r, std::size_t{1} << 17);
    if (!pieces) return w.unsupported(value, "a function of more than 131072 steps");
    const double scale = fixed::to_double(x.scale.of(row));
    start[row] = pieces->values[0];
    for (std::size_t i = 0; i < pieces->breakpoints.size(); ++i) {
      // Between the two codes, so that no rounding of the sum in front matters.
      const auto t = static_cast<float>((static_cast<double>(pieces->breakpoints[i]) - 0.5) * scale);
      const Int step = pieces->values[i + 1] - pieces->values[i];
      const auto count = static_cast<std::size_t>(step < 0 ? -step : step);
      total += count;
      if (total > kMaxThresholds) return w.unsupported(value, "its functions need more than four million thresholds");
      auto& to = step < 0 ? down[row] : up[row];
      to.insert(to.end(), count, t);
    }
  }
  // One bias for all rows: rows that start higher get thresholds that are always passed.
  const Int lowest = *std::min_element(start.begin(), start.end());
  for (std::size_t row = 0; row < rows; ++row)
    up[row].insert(up[row].begin(), static_cast<std::size_t>(start[row] - lowest), -3.0e38F);
  if (!value.scale.per_tensor())
    return w.unsupported(value, "a function that is no QONNX Quant, on channels with scales of their own");
  const auto scale = exact_float(value.scale.at(0));
  const auto bias = exact_float(Rational(value.scale.at(0) * fixed::rational_from_int(lowest)));
  if (!scale || !bias) return w.unsupported(value, "its scale is no float32");
  std::string from = w.tensor(p.x);
  const bool flat = rows != 1 && value.shape.size() != 1;
  if (flat) {
    from = w.reshape(value.name + "_flat", from, {static_cast<std::int64_t>(elements)});
    expand(up, elements);
    expand(down, elements);
  }
  std::string y = thresholds(w, value, from, up, *scale, *bias);
  if (std::any_of(down.begin(), down.end(), [](const auto& row) { return !row.empty(); }))
    y = w.out().apply("Sub", {y, thresholds(w, value, from, down, *scale, 0.0F)}, value.name);
  if (flat) y = w.reshape(value.name, y, value.shape);
  return y;
}

}  // namespace weft::formats::onnx
