// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/pickle.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>

namespace weft::formats::torch {
namespace {

/// Values lie in one list and name each other by index, so that nothing is copied and nothing recurses.
using Id = std::uint32_t;

struct Item {
  enum class Type { Mark, None, Int, Float, Text, Sequence, Dict, Global, Storage, Tensor };
  Type type = Type::None;
  std::int64_t integer = 0;
  std::string text{};          ///< Text; Global: "module name"; Storage: key
  std::vector<Id> children{};  ///< Sequence; Dict: keys and values in turn
  onnx::Element element = onnx::Element::Float32;
  TensorView tensor{};
};

struct StorageClass {
  std::string_view global;
  onnx::Element element;
};

constexpr StorageClass kStorages[] = {
    {"torch FloatStorage", onnx::Element::Float32}, {"torch DoubleStorage", onnx::Element::Float64},
    {"torch HalfStorage", onnx::Element::Float16},  {"torch BFloat16Storage", onnx::Element::Bfloat16},
    {"torch LongStorage", onnx::Element::Int64},    {"torch IntStorage", onnx::Element::Int32},
    {"torch ShortStorage", onnx::Element::Int16},   {"torch CharStorage", onnx::Element::Int8},
    {"torch ByteStorage", onnx::Element::Uint8},    {"torch BoolStorage", onnx::Element::Bool},
};

// Bounds far above what tensors need; values keep copies of short texts and lists only.
constexpr std::size_t kMaxBytes = std::size_t{1} << 26;
constexpr std::size_t kMaxItems = std::size_t{1} << 20;
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxRank = 64;

constexpr std::string_view kDictionary = "collections OrderedDict";
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";

std::optional<onnx::Element> storage_element(std::string_view global) {
  for (const auto& row : kStorages) {
    if (row.global == global) return row.element;
  }
  return std::nullopt;
}

bool known_global(std::string_view name) {
  return name == kDictionary || name == kTensor || name == kParameter || storage_element(name).has_value();
}

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& file, Context& ctx) : bytes_(bytes), file_(file), ctx_(ctx) {}
  Result<std::map<std::string, TensorView>> run();

 private:
  using Type = Item::Type;

  diag::Failure malformed(const std::string& what) const {
    return ctx_.fail(Kind::ModelMalformed, {.file = file_}, fmt::format("the pickle at byte {}: {}", at_, what));
  }
  Result<std::string_view> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) return malformed("it ends too early");
    const auto out = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return out;
  }
  /// Little endian.
  Result<std::uint64_t> number(std::size_t width) {
    WEFT_TRY(const std::string_view raw, take(width));
    std::uint64_t out = 0;
    for (std::size_t i = width; i-- > 0;) out = out << 8 | static_cast<unsigned char>(raw[i]);
    return out;
  }
  Result<std::string_view> line() {
    const auto end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) return malformed("a name has no end");
    const auto out = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }
  Id make(Item item) {
    items_.push_back(std::move(item));
    return static_cast<Id>(items_.size() - 1);
  }
  void push(Item item) { stack_.push_back(make(std::move(item))); }
  void push_int(std::int64_t value) { push({.type = Type::Int, .integer = value}); }
  Result<Id> pop() {
    if (stack_.empty() || items_[stack_.back()].type == Type::Mark) return malformed("its stack is empty");
    const Id out = stack_.back();
    stack_.pop_back();
    return out;
  }
  Result<std::vector<Id>> pop_to_mark() {
    std::size_t begin = stack_.size();
    while (begin > 0 && items_[stack_[begin - 1]].type != Type::Mark) --begin;
    if (begin == 0) return malformed("a mark is missing");
    std::vector<Id> out(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
    stack_.resize(begin - 1);
    return out;
  }
  Result<void> tuple(std::size_t count) {
    Item out{.type = Type::Sequence};
    out.children.resize(count);
    for (std::size_t i = count; i-- > 0;) {
      WEFT_TRY(out.children[i], pop());
    }
    push(std::move(out));
    return {};
  }
  /// Appends `values` to the container on top of the stack.
  Result<void> extend(Type type, const std::vector<Id>& values) {
    if (stack_.empty() || items_[stack_.back()].type != type || (type == Type::Dict && values.size() % 2 != 0))
      return malformed("items for something that is no container");
    auto& children = items_[stack_.back()].children;
    children.insert(children.end(), values.begin(), values.end());
    return {};
  }
  Result<void> global(std::string name) {
    if (!known_global(name)) {
      const auto space = name.find(' ');
      if (space != std::string::npos) name[space] = '.';
      return ctx_.fail(Kind::ModelMalformed, {.file = file_},
                       fmt::format("the pickle names `{}`; only plain tensors are read and nothing is executed. Save "
                                   "the program again with `torch.export.save`",
                                   name.substr(0, 200)));
    }
    push({.type = Type::Global, .text = std::move(name)});
    return {};
  }
  Result<void> step(unsigned char op);
  Result<void> step_values(unsigned char op);
  Result<void> memoize(std::uint64_t key) {
    if (stack_.empty()) return malformed("its stack is empty");
    memo_[key] = stack_.back();
    return {};
  }
  Result<void> recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) return malformed("it recalls what it never kept");
    stack_.push_back(found->second);
    return {};
  }
  Result<void> storage();
  Result<void> reduce();
  Result<std::vector<std::int64_t>> integers(Id id) const;

  std::string_view bytes_;
  const std::string& file_;
  Context& ctx_;
  std::size_t at_ = 0;
  bool done_ = false;
  std::vector<Item> items_;
  std::vector<Id> stack_;
  std::unordered_map<std::uint64_t, Id> memo_;
};

/// ('storage', class, key, location, elements).
Result<void> Parser::storage() {
  WEFT_TRY(const Id id, pop());
  const auto& parts = items_[id].children;
  const bool shaped = items_[id].type == Type::Sequence && parts.size() == 5 && items_[parts[0]].type == Type::Text &&
                      items_[parts[0]].text == "storage" && items_[parts[1]].type == Type::Global &&
                      items_[parts[2]].type == Type::Text;
  const auto element = shaped ? storage_element(items_[parts[1]].text) : std::nullopt;
  if (!element || items_[parts[2]].text.size() > kMaxName)
    return malformed("a persistent object is no storage of numbers");
  push({.type = Type::Storage, .text = items_[parts[2]].text, .element = *element});
  return {};
}

Result<std::vector<std::int64_t>> Parser::integers(Id id) const {
  std::vector<std::int64_t> out;
  if (items_[id].type != Type::Sequence) return malformed("sizes or strides are no tuple");
  for (const Id child : items_[id].children) {
    if (items_[child].type != Type::Int || items_[child].integer < 0)
      return malformed("a size or stride is no number from 0 on");
    out.push_back(items_[child].integer);
  }
  return out;
}

Result<void> Parser::reduce() {
  WEFT_TRY(const Id arguments, pop());
  WEFT_TRY(const Id function, pop());
  if (items_[function].type != Type::Global || items_[arguments].type != Type::Sequence)
    return malformed("a call of something that is no known function");
  const std::string& name = items_[function].text;
  const auto& given = items_[arguments].children;
  if (name == kDictionary) {
    if (!given.empty()) return malformed("a dictionary with arguments");
    push({.type = Type::Dict});
    return {};
  }
  if (name == kParameter) {
    if (given.empty() || items_[given[0]].type != Type::Tensor) return malformed("a parameter without tensor");
    stack_.push_back(given[0]);
    return {};
  }
  if (name != kTensor || given.size() < 4 || items_[given[0]].type != Type::Storage ||
      items_[given[1]].type != Type::Int || items_[given[1]].integer < 0)
    return malformed("a call of something that is no known function");
  if (items_[given[2]].children.size() > kMaxRank) return malformed("a tensor of more than 64 axes");
  Item out{.type = Type::Tensor};
  out.tensor.storage = items_[given[0]].text;
  out.tensor.element = items_[given[0]].element;
  out.tensor.offset = items_[given[1]].integer;
  WEFT_TRY(out.tensor.sizes, integers(given[2]));
  WEFT_TRY(out.tensor.strides, integers(given[3]));
  if (out.tensor.sizes.size() != out.tensor.strides.size()) return malformed("sizes and strides differ in length");
  push(std::move(out));
  return {};
}

/// Operations that make one value.
Result<void> Parser::step_values(unsigned char op) {
  switch (op) {
    case 'N':
      push({.type = Type::None});
      return {};
    case 0x88:
    case 0x89:
      push_int(op == 0x88 ? 1 : 0);
      return {};
    case 'K':
    case 'M': {
      WEFT_TRY(const auto value, number(op == 'K' ? 1 : 2));
      push_int(static_cast<std::int64_t>(value));
      return {};
    }
    case 'J': {
      WEFT_TRY(const auto value, number(4));
      push_int(static_cast<std::int32_t>(static_cast<std::uint32_t>(value)));
      return {};
    }
    case 0x8a: {
      WEFT_TRY(const auto width, number(1));
      if (width > 8) return malformed("an integer of more than 64 bits");
      WEFT_TRY(auto value, number(static_cast<std::size_t>(width)));
      if (width > 0 && width < 8 && (value >> (8 * width - 1) & 1) != 0) value |= ~std::uint64_t{0} << (8 * width);
      push_int(static_cast<std::int64_t>(value));
      return {};
    }
    case 'G':
      WEFT_TRY_VOID(take(8));
      push({.type = Type::Float});
      return {};
    case 'X':
    case 0x8c:
    case 0x8d:
    case 'U':
    case 'C': {
      WEFT_TRY(const auto length, number(op == 'X' ? 4 : (op == 0x8d ? 8 : 1)));
      WEFT_TRY(const auto text, take(length));
      push({.type = Type::Text, .text = std::string(text)});
      return {};
    }
    case 'c': {
      WEFT_TRY(const auto module, line());
      WEFT_TRY(const auto name, line());
      return global(fmt::format("{} {}", module, name));
    }
    case 0x93: {
      WEFT_TRY(const Id name, pop());
      WEFT_TRY(const Id module, pop());
      if (items_[name].type != Type::Text || items_[module].type != Type::Text) return malformed("a name is no text");
      if (items_[name].text.size() > kMaxName || items_[module].text.size() > kMaxName)
        return malformed("a name is too long");
      return global(fmt::format("{} {}", items_[module].text, items_[name].text));
    }
    default:
      return ctx_.fail(Kind::ModelMalformed, {.file = file_},
                       fmt::format("the pickle uses operation 0x{:02x} at byte {}, which no tensor needs; nothing is "
                                   "executed",
                                   static_cast<unsigned>(op), at_ - 1));
  }
}

Result<void> Parser::step(unsigned char op) {
  switch (op) {
    case 0x80:
      WEFT_TRY_VOID(take(1));
      return {};
    case 0x95:
      WEFT_TRY_VOID(take(8));
      return {};
    case '.':
      done_ = true;
      return {};
    case '(':
      push({.type = Type::Mark});
      return {};
    case '}':
      push({.type = Type::Dict});
      return {};
    case ']':
    case ')':
      push({.type = Type::Sequence});
      return {};
    case 't': {
      WEFT_TRY(auto children, pop_to_mark());
      push({.type = Type::Sequence, .children = std::move(children)});
      return {};
    }
    case 0x85:
    case 0x86:
    case 0x87:
      return tuple(op - std::size_t{0x84});
    case 'q':
    case 'r': {
      WEFT_TRY(const auto key, number(op == 'q' ? 1 : 4));
      return memoize(key);
    }
    case 0x94:
      return memoize(memo_.size());
    case 'h':
    case 'j': {
      WEFT_TRY(const auto key, number(op == 'h' ? 1 : 4));
      return recall(key);
    }
    case 's': {
      WEFT_TRY(const Id value, pop());
      WEFT_TRY(const Id key, pop());
      return extend(Type::Dict, {key, value});
    }
    case 'a': {
      WEFT_TRY(const Id value, pop());
      return extend(Type::Sequence, {value});
    }
    case 'u':
    case 'e': {
      WEFT_TRY(const auto values, pop_to_mark());
      return extend(op == 'u' ? Type::Dict : Type::Sequence, values);
    }
    case 'b': {
      // The metadata of a state dictionary.
      WEFT_TRY_VOID(pop());
      if (stack_.empty() || items_[stack_.back()].type != Type::Dict) return malformed("a state for no dictionary");
      return {};
    }
    case 'Q':
      return storage();
    case 'R':
      return reduce();
    case '0':
      WEFT_TRY_VOID(pop());
      return {};
    default:
      return step_values(op);
  }
}

Result<std::map<std::string, TensorView>> Parser::run() {
  if (bytes_.size() > kMaxBytes)
    return ctx_.fail(Kind::LimitExceeded, {.file = file_}, fmt::format("a pickle of {} bytes", bytes_.size()));
  while (!done_) {
    if (items_.size() > kMaxItems)
      return ctx_.fail(Kind::LimitExceeded, {.file = file_}, fmt::format("a pickle of more than {} values", kMaxItems));
    WEFT_TRY(const auto op, number(1));
    WEFT_TRY_VOID(step(static_cast<unsigned char>(op)));
  }
  WEFT_TRY(const Id top, pop());
  std::map<std::string, TensorView> out;
  const Item& item = items_[top];
  if (item.type == Type::Tensor) {
    out.emplace("", item.tensor);
    return out;
  }
  if (item.type != Type::Dict) return malformed("it holds neither a tensor nor a dictionary");
  for (std::size_t i = 0; i + 1 < item.children.size(); i += 2) {
    const Item& key = items_[item.children[i]];
    const Item& value = items_[item.children[i + 1]];
    if (key.type == Type::Text && value.type == Type::Tensor) out.insert_or_assign(key.text, value.tensor);
  }
  return out;
}

}  // namespace

Result<std::map<std::string, TensorView>> read_pickled_tensors(std::string_view bytes, const std::string& file,
                                                               Context& ctx) {
  return Parser(bytes, file, ctx).run();
}

}  // namespace weft::formats::torch
