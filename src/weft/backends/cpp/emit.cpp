// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/cpp/emit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "weft/backends/cpp/statements.h"

namespace weft::backends::cpp {
namespace {

using boost::multiprecision::cpp_int;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte < 0x20 || byte >= 0x7f)
      out += fmt::format("\\{:03o}", byte);
    else
      out += c;
  }
  return out + "\"";
}

/// A comment's text: no line breaks, no ends of comments.
std::string comment(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\\'; }, ' ');
  return text;
}

std::string float_literal(float v) {
  const std::string text = fmt::format("{:.9g}", v);
  return text.find_first_of(".en") == std::string::npos ? text + ".0F" : text + "F";
}

/// Real numbers of one input to codes.
std::string convert_statement(const exact::InputConversion& c, const std::string& to, const std::string& type) {
  switch (c.form) {
    case exact::InputConversion::Form::Bipolar:
      return fmt::format("{} = x >= 0 ? 1 : -1;", to);
    case exact::InputConversion::Form::Affine:
      return fmt::format("{} = static_cast<{}>(to_affine(x, {}, {}, {}, {}, {}, {}));", to, type,
                         float_literal(c.scale), float_literal(c.zero_point), literal(c.lo), literal(c.hi),
                         rounding_name(c.rounding), c.round_first);
    case exact::InputConversion::Form::Fixed:
      break;
  }
  return fmt::format("{} = static_cast<{}>(to_fixed(x, {}, {}, {}));", to, type, c.type.frac_bits(),
                     rounding_name(c.type.rounding), type_literal(c.type));
}

/// "to_real(code, 3, -4)" for a scale.
Result<std::string> real_of(const exact::Value& value, const Rational& scale, Context& ctx) {
  const cpp_int numerator = boost::multiprecision::numerator(scale);
  const cpp_int denominator = boost::multiprecision::denominator(scale);
  const auto too_fine = [&] {
    return ctx.fail(Kind::TypeTooWide, value.origin,
                    fmt::format("the scale of output `{}` is too fine for an emulator", value.name));
  };
  if (boost::multiprecision::msb(numerator) > 61) return too_fine();
  if (const auto log2 = fixed::log2_exact(Rational(denominator)))
    return fmt::format("to_real(code, {}, {})", literal(static_cast<std::int64_t>(numerator)), -*log2);
  if (boost::multiprecision::msb(denominator) > 61) return too_fine();
  return fmt::format("to_real_ratio(code, {}, {})", literal(static_cast<std::int64_t>(numerator)),
                     literal(static_cast<std::int64_t>(denominator)));
}

/// A function `float real_<n>(std::size_t e, std::int64_t code)`.
Result<std::string> readout(const exact::Graph& graph, const exact::GraphOutput& output, std::size_t n, Context& ctx) {
  const auto& value = graph.at(output.value);
  std::size_t channels = value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  channels = std::max(channels, value.scale.factors.size());
  for (const auto& step : output.steps) channels = std::max(channels, step.operands.size());
  std::string out = fmt::format("inline float real_{}(std::size_t e, std::int64_t code) {{\n", n);
  out += channels > 1 ? fmt::format("  const std::size_t channel = e % {};\n  (void)channel;\n", channels)
                      : "  (void)e;\n";
  if (value.scale.per_tensor()) {
    WEFT_TRY(const std::string real, real_of(value, value.scale.at(0), ctx));
    out += fmt::format("  float y = {};\n", real);
  } else {
    // Channels that do not lie last repeat their factor in runs: one case each.
    const auto& factors = value.scale.factors;
    out += fmt::format("  float y = 0;\n  switch (channel % {}) {{\n", factors.size());
    for (std::size_t c = 0; c < factors.size(); ++c) {
      out += fmt::format("    case {}:", c);
      if (c + 1 < factors.size() && factors[c + 1] == factors[c]) {
        out += "\n";
        continue;
      }
      WEFT_TRY(const std::string real, real_of(value, factors[c], ctx));
      out += fmt::format(" y = {}; break;\n", real);
    }
    out += "    default: break;\n  }\n";
  }
  for (std::size_t s = 0; s < output.steps.size(); ++s) {
    const auto& step = output.steps[s];
    std::string c = fmt::format("c{}", s);
    if (step.operands.size() == 1) {
      out += fmt::format("  constexpr float {} = {};\n", c, float_literal(step.operands[0]));
    } else {
      out += fmt::format("  static constexpr float {}s[] = {{", c);
      for (std::size_t i = 0; i < step.operands.size(); ++i)
        out += (i == 0 ? "" : ", ") + float_literal(step.operands[i]);
      out += fmt::format("}};\n  const float {} = {}s[channel % {}];\n", c, c, step.operands.size());
    }
    using Op = exact::ReadoutStep::Op;
    std::string expression;
    switch (step.op) {
      case Op::Add:
        expression = fmt::format("y + {}", c);
        break;
      case Op::Sub:
        expression = fmt::format("y - {}", c);
        break;
      case Op::Mul:
        expression = fmt::format("y * {}", c);
        break;
      case Op::Div:
        expression = fmt::format("y / {}", c);
        break;
      case Op::Pow:
        expression = fmt::format("std::pow(y, {})", c);
        break;
      case Op::ReverseSub:
        expression = fmt::format("{} - y", c);
        break;
      case Op::ReverseDiv:
        expression = fmt::format("{} / y", c);
        break;
    }
    // Every step is rounded to float32 by itself.
    out += fmt::format("  {{ volatile float step = {}; y = step; }}\n", expression);
  }
  return out + "  return y;\n}\n";
}

constexpr const char* kCms = R"cpp(
  // ---- CMS ----------------------------------------------------------------------------------------------------------
  // The class that the trigger's loader expects behind create_model(). prepare_input takes a pointer to the elements of
  // all inputs one after the other (float, double or std::int64_t codes), read_result a pointer to room for all
  // outputs. -DWEFT_NO_CMS leaves it out.

#ifndef WEFT_NO_CMS
#if !defined(HLS4ML_EMULATOR_H_) && !defined(hls4mlEmulator_Model_h)
#define hls4mlEmulator_Model_h
  namespace hls4mlEmulator {
  class Model {
   public:
    virtual void prepare_input(std::any input) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any result) = 0;
    virtual ~Model() = default;
  };
  }  // namespace hls4mlEmulator
#endif

  namespace {

  class Emulated final : public hls4mlEmulator::Model {
   public:
    Emulated()
        : inputs_(total(NAMESPACE::input_count(), NAMESPACE::input)),
          outputs_(total(NAMESPACE::output_count(), NAMESPACE::output)) {}

    void prepare_input(std::any input) override {
      if (!take<float>(input) && !take<double>(input) && !take<std::int64_t>(input)) throw std::bad_any_cast();
    }
    void predict() override {
      std::vector<const std::int64_t*> in;
      std::vector<std::int64_t*> out;
      std::size_t at = 0;
      for (std::size_t i = 0; i < NAMESPACE::input_count(); at += NAMESPACE::input(i++).elements)
        in.push_back(inputs_.data() + at);
      at = 0;
      for (std::size_t i = 0; i < NAMESPACE::output_count(); at += NAMESPACE::output(i++).elements)
        out.push_back(outputs_.data() + at);
      NAMESPACE::run(in.data(), out.data());
    }
    void read_result(std::any result) override {
      if (!give<float>(result) && !give<double>(result) && !give<std::int64_t>(result)) throw std::bad_any_cast();
    }

   private:
    static std::size_t total(std::size_t n, NAMESPACE::Port (*port)(std::size_t)) {
      std::size_t sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += port(i).elements;
      return sum;
    }
    template <class T>
    bool take(const std::any& input) {
      const T* x = nullptr;
      if (const auto* p = std::any_cast<T*>(&input)) x = *p;
      if (const auto* p = std::any_cast<const T*>(&input)) x = *p;
      if (x == nullptr) return false;
      std::size_t at = 0;
      for (std::size_t i = 0; i < NAMESPACE::input_count(); ++i)
        for (std::size_t e = 0; e < NAMESPACE::input(i).elements; ++e, ++at) {
          if constexpr (std::is_same_v<T, std::int64_t>)
            inputs_[at] = x[at];
          else
            inputs_[at] = NAMESPACE::code(i, static_cast<float>(x[at]));
        }
      return true;
    }
    template <class T>
    bool give(const std::any& result) const {
      const auto* p = std::any_cast<T*>(&result);
      if (p == nullptr) return false;
      std::size_t at = 0;
      for (std::size_t i = 0; i < NAMESPACE::output_count(); ++i)
        for (std::size_t e = 0; e < NAMESPACE::output(i).elements; ++e, ++at) {
          if constexpr (std::is_same_v<T, std::int64_t>)
            (*p)[at] = outputs_[at];
          else
            (*p)[at] = static_cast<T>(NAMESPACE::real(i, e, outputs_[at]));
        }
      return true;
    }

    std::vector<std::int64_t> inputs_;
    std::vector<std::int64_t> outputs_;
  };

  }  // namespace

  extern "C" hls4mlEmulator::Model* create_model() { return new Emulated; }
  extern "C" void destroy_model(hls4mlEmulator::Model* model) { delete model; }
#endif
)cpp";

constexpr const char* kDeclarations = R"cpp(/// Elements of one sample; codes stand for scale * code.
                                            struct Port {
                                              const char* name;
                                              std::size_t elements;
                                            };
                                            std::size_t input_count();
                                            std::size_t output_count();
                                            Port input(std::size_t i);
                                            Port output(std::size_t i);

                                            /// One sample: codes[i] points at the elements of input or output i. Any
                                            /// number of threads may run at once.
                                            void run(const std::int64_t* const* inputs, std::int64_t* const* outputs);
                                            /// The code of a real number of input i, and the real number of element e
                                            /// of output i. NaN and infinity have no code.
                                            std::int64_t code(std::size_t i, float x);
                                            float real(std::size_t i, std::size_t e, std::int64_t code);
                                            /// One sample of real numbers.
                                            void predict(const float* const* inputs, float* const* outputs);
)cpp";

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

}  // namespace

std::string namespace_of(const std::string& name) {
  std::string out = "weft_";
  for (const char c : name) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return out;
}

Result<EmulatorFiles> emit_emulator(const exact::Graph& graph, const EmulatorOptions& options, Context& ctx) {
  const std::string ns = namespace_of(options.name);
  const std::string origin =
      fmt::format("// Written by weft {} from `{}`: the model in integers, bit for bit.\n", options.version,
                  comment(options.source.empty() ? graph.name : options.source));
  EmulatorFiles out;
  out.header = fmt::format(
      "{}#pragma once\n\n#include <cstddef>\n#include <cstdint>\n\nnamespace {} {{\n\n{}\n}}  // "
      "namespace {}\n",
      origin, ns, kDeclarations, ns);

  // Only what outputs need.
  std::vector<bool> used(graph.values.size(), false);
  for (const auto& output : graph.outputs) used[output.value.index] = true;
  for (std::size_t i = graph.values.size(); i-- > 0;) {
    if (!used[i]) continue;
    for (const auto id : exact::operands(graph.values[i].primitive)) used[id.index] = true;
  }
  for (const auto& input : graph.inputs) used[input.value.index] = true;
  std::string constants;
  std::string buffers;
  std::string statements;
  const auto narrow = [&](const exact::Value& value, const std::string& what) -> Result<void> {
    const fixed::Range r = hull(value);
    if (fixed::width_bits(r) <= (r.lo < 0 ? 64 : 63)) return {};
    return ctx.fail(Kind::TypeTooWide, value.origin,
                    fmt::format("{} has codes of more than 63 bits; use narrower types", what));
  };
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (!used[i]) continue;
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "writing was cancelled");
    const exact::ValueId id{static_cast<std::uint32_t>(i)};
    WEFT_TRY(const Code code, write_value(graph, id, ctx));
    constants += code.constants;
    buffers += code.buffers;
    if (!code.statements.empty()) {
      const auto& value = graph.at(id);
      statements += fmt::format("  // {} {}\n", exact::name_of(value.primitive), comment(value.origin.node));
      statements += code.statements;
    }
  }
  std::string load;
  std::string convert;
  std::string ports_in;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const auto& input = graph.inputs[i];
    const auto& value = graph.at(input.value);
    WEFT_TRY_VOID(narrow(value, fmt::format("input `{}`", input.name)));
    const std::string type = type_for(hull(value));
    load += fmt::format("  for (std::size_t e = 0; e < {}; ++e) {}[e] = static_cast<{}>(inputs[{}][e]);\n",
                        value.ranges.size(), access(value), type, i);
    convert += fmt::format("    case {}: {{ std::int64_t q = 0; {} return q; }}\n", i,
                           convert_statement(input.conversion, "q", "std::int64_t"));
    ports_in += fmt::format("{}{{{}, {}}}", i == 0 ? "" : ", ", quoted(input.name), value.ranges.size());
  }
  std::string store;
  std::string reals;
  std::string real_cases;
  std::string ports_out;
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const auto& output = graph.outputs[i];
    const auto& value = graph.at(output.value);
    WEFT_TRY_VOID(narrow(value, fmt::format("output `{}`", output.name)));
    store += fmt::format("  for (std::size_t e = 0; e < {}; ++e) outputs[{}][e] = {}[e];\n", value.ranges.size(), i,
                         access(value));
    WEFT_TRY(const std::string function, readout(graph, output, i, ctx));
    reals += function;
    real_cases += fmt::format("    case {}: return real_{}(e, code);\n", i, i);
    ports_out += fmt::format("{}{{{}, {}}}", i == 0 ? "" : ", ", quoted(output.name), value.ranges.size());
  }

  std::string& s = out.source;
  s = origin;
  s += "// Needs C++17 and nothing else. `run` and `predict` may be called by any number of threads at once.\n"
       "#include <any>\n#include <cmath>\n#include <cstddef>\n#include <cstdint>\n#include <memory>\n"
       "#include <type_traits>\n#include <vector>\n\n";
  s += fmt::format("namespace {} {{\n\n{}\nnamespace {{\n\n{}\n", ns, kDeclarations, library_text());
  s += "// ---- the model "
       "----------------------------------------------------------------------------------------------------\n\n";
  s += constants;
  s += fmt::format("\nstruct Buffers {{\n{}}};\n\n", buffers);
  s += "void compute(Buffers& b) {\n" + statements + "}\n\n";
  s += reals;
  s += fmt::format("constexpr Port kInputs[] = {{{}}};\nconstexpr Port kOutputs[] = {{{}}};\n\n}}  // namespace\n\n",
                   ports_in, ports_out);
  s += fmt::format("std::size_t input_count() {{ return {}; }}\nstd::size_t output_count() {{ return {}; }}\n",
                   graph.inputs.size(), graph.outputs.size());
  s += "Port input(std::size_t i) { return kInputs[i]; }\nPort output(std::size_t i) { return kOutputs[i]; }\n\n";
  s += "void run(const std::int64_t* const* inputs, std::int64_t* const* outputs) {\n"
       "  thread_local const std::unique_ptr<Buffers> buffers = std::make_unique<Buffers>();\n"
       "  Buffers& b = *buffers;\n";
  s += load + "  compute(b);\n" + store + "}\n\n";
  s += "std::int64_t code(std::size_t i, float x) {\n  switch (i) {\n" + convert + "    default: return 0;\n  }\n}\n\n";
  s += "float real(std::size_t i, std::size_t e, std::int64_t code) {\n  switch (i) {\n" + real_cases +
       "    default: return 0;\n  }\n}\n\n";
  s += R"cpp(void predict(const float* const* inputs, float* const* outputs) {
               std::vector<std::vector<std::int64_t>> in(input_count()), out(output_count());
               std::vector<const std::int64_t*> from;
               std::vector<std::int64_t*> to;
               for (std::size_t i = 0; i < in.size(); ++i) {
                 for (std::size_t e = 0; e < kInputs[i].elements; ++e) in[i].push_back(code(i, inputs[i][e]));
                 from.push_back(in[i].data());
               }
               for (std::size_t i = 0; i < out.size(); ++i) {
                 out[i].resize(kOutputs[i].elements);
                 to.push_back(out[i].data());
               }
               run(from.data(), to.data());
               for (std::size_t i = 0; i < out.size(); ++i)
                 for (std::size_t e = 0; e < out[i].size(); ++e) outputs[i][e] = real(i, e, out[i][e]);
             }
  )cpp";
  s += fmt::format("}}  // namespace {}\n", ns);
  std::string cms = kCms;
  replace_all(cms, "NAMESPACE", ns);
  s += cms;
  return out;
}

}  // namespace weft::backends::cpp
