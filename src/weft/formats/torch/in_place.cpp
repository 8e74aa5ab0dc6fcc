// SPDX-License-Identifier: Apache-2.0
// One walk over the nodes in their order. A value is known by its tensor: what certainly is the same tensor under
// another name (detach, dropout at inference) shares it, what may be a view of it shares its memory only. After
// `relu_(x)` every name of x's tensor means the result. A view that was made before and is used afterwards would have
// to be made once more, and a view that was changed would have to be written back: both are refused.
#include "weft/formats/torch/in_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <unordered_map>

namespace weft::formats::torch {
namespace {

constexpr std::string_view kPrefix = "torch.ops.aten.";

/// "relu_" of "torch.ops.aten.relu_.default".
std::string base_name(const ProgramNode& node) {
  if (node.target.rfind(kPrefix, 0) != 0) return {};
  const std::string name = node.target.substr(kPrefix.size());
  return name.substr(0, name.find('.'));
}

bool is_in_place(const std::string& name) {
  return name.size() > 1 && name.back() == '_' && name.front() != '_' && name != "detach_";
}

/// The same tensor again.
bool is_same(const std::string& name) {
  static const std::set<std::string> kSame{"alias", "alpha_dropout", "detach", "detach_", "dropout", "feature_dropout"};
  return kSame.count(name) != 0;
}

/// Results that are or may be views of the first operand.
bool is_view(const std::string& name) {
  static const std::set<std::string> kViews{
      "_unsafe_view", "adjoint",    "as_strided", "atleast_3d", "broadcast_to", "chunk",
      "contiguous",   "diagonal",   "expand",     "expand_as",  "flatten",      "mT",
      "moveaxis",     "movedim",    "narrow",     "numpy_T",    "permute",      "ravel",
      "reshape",      "reshape_as", "select",     "slice",      "split",        "split_with_sizes",
      "squeeze",      "swapaxes",   "swapdims",   "t",          "tensor_split", "to",
      "transpose",    "type_as",    "unbind",     "unflatten",  "unfold",       "unsafe_chunk",
      "unsqueeze",    "view",       "view_as"};
  return kViews.count(name) != 0;
}

const std::string* first_tensor(const ProgramNode& node) {
  if (node.inputs.empty() || node.inputs.front().value.type != Argument::Type::Tensor) return nullptr;
  return &node.inputs.front().value.names.front();
}

/// Of the tensors in one memory the two that are used last: whichever is changed, the other one is known.
struct Sharers {
  struct Sharer {
    std::string tensor;
    std::size_t last_use = 0;
  };
  std::array<Sharer, 2> latest;

  void note(const std::string& tensor, std::size_t last_use) {
    if (latest[1].tensor == tensor) std::swap(latest[0], latest[1]);
    if (latest[0].tensor == tensor || latest[0].tensor.empty()) {
      latest[0] = {tensor, last_use};
    } else if (latest[1].tensor.empty() || latest[1].last_use < last_use) {
      latest[1] = {tensor, last_use};
    }
    if (latest[0].last_use < latest[1].last_use) std::swap(latest[0], latest[1]);
  }
};

class Walk {
 public:
  Walk(Program& program, Context& ctx) : program_(program), ctx_(ctx) {}

  Result<void> run() {
    note_last_uses();
    for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
      ProgramNode& node = program_.nodes[n];
      const std::string name = base_name(node);
      const std::string* first = first_tensor(node);
      const std::string changed = first == nullptr ? std::string() : *first;
      for (auto& input : node.inputs)
        for (auto& value : input.value.names) value = now(value);
      if (changed.empty()) continue;
      if (is_in_place(name)) {
        WEFT_TRY_VOID(replace(n, name, changed));
      } else if (is_same(name) || is_view(name)) {
        for (const auto& output : node.outputs)
          for (const auto& value : output.names) {
            if (is_same(name)) join(value, tensor_of(changed));
            if (is_view(name)) share(value, changed);
          }
      }
    }
    for (auto& output : program_.outputs) output.name = now(output.name);
    return {};
  }

 private:
  void note_last_uses() {
    for (std::size_t n = 0; n < program_.nodes.size(); ++n)
      for (const auto& input : program_.nodes[n].inputs)
        for (const auto& value : input.value.names) last_use_[value] = n;
    for (const auto& output : program_.outputs) last_use_[output.name] = program_.nodes.size();
  }

  /// The first name of the tensor.
  [[nodiscard]] std::string tensor_of(const std::string& name) const {
    const auto found = tensor_.find(name);
    return found == tensor_.end() ? name : found->second;
  }
  /// The first name of the tensor whose memory it is.
  [[nodiscard]] std::string memory_of(const std::string& name) const {
    const std::string tensor = tensor_of(name);
    const auto found = memory_.find(tensor);
    return found == memory_.end() ? tensor : found->second;
  }
  /// What the name means after all changes so far.
  [[nodiscard]] std::string now(const std::string& name) const {
    const auto found = now_.find(tensor_of(name));
    return found == now_.end() ? name : found->second;
  }

  /// `value` is another name of the tensor.
  void join(const std::string& value, const std::string& tensor) {
    tensor_[value] = tensor;
    last_use_[tensor] = std::max(last_use_[tensor], last_use_[value]);
    sharers_[memory_of(tensor)].note(tensor, last_use_[tensor]);
  }

  /// `value` is a view of `of`.
  void share(const std::string& value, const std::string& of) {
    const std::string memory = memory_of(of);
    memory_[value] = memory;
    sharers_[memory].note(memory, last_use_[memory]);
    sharers_[memory].note(value, last_use_[value]);
  }

  Result<void> replace(std::size_t n, const std::string& name, const std::string& changed) {
    ProgramNode& node = program_.nodes[n];
    if (node.outputs.size() != 1 || node.outputs.front().type != Argument::Type::Tensor) return {};
    const std::string result = node.outputs.front().names.front();
    const std::string tensor = tensor_of(changed);
    for (const auto& other : sharers_[memory_of(changed)].latest)
      if (!other.tensor.empty() && other.tensor != tensor && other.last_use > n)
        return ctx_.fail(Kind::LayerUnsupported,
                         {.file = program_.file, .node = result, .op = "aten." + name, .tensor = changed},
                         fmt::format("`aten.{}` changes `{}` in place, and `{}`, which shares its memory, is used "
                                     "later; `program.run_decompositions()` before saving makes them values of their "
                                     "own",
                                     name, changed, other.tensor));
    const std::string overload = node.target.substr(kPrefix.size() + name.size());
    node.target = fmt::format("{}{}{}", kPrefix, name.substr(0, name.size() - 1), overload);
    join(result, tensor);
    now_[tensor] = result;
    return {};
  }

  Program& program_;
  Context& ctx_;
  std::unordered_map<std::string, std::size_t> last_use_;
  std::unordered_map<std::string, std::string> tensor_;
  std::unordered_map<std::string, std::string> memory_;
  std::unordered_map<std::string, Sharers> sharers_;
  std::unordered_map<std::string, std::string> now_;
};

}  // namespace

Result<void> replace_in_place(Program& program, Context& ctx) { return Walk(program, ctx).run(); }

}  // namespace weft::formats::torch
