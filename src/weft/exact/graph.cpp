// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/graph.h"

#include <array>
#include <type_traits>

namespace weft::exact {
namespace {

// The rows of primitives.def and the alternatives of Primitive are the same list in the same order.
enum class Row : std::size_t {
#define WEFT_PRIMITIVE(name, text, meaning) name,
#include "weft/exact/primitives.def"
};
#define WEFT_PRIMITIVE(name, text, meaning)                                                                       \
  static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(Row::name), Primitive>, name>, \
                #name " stands elsewhere in Primitive");
#include "weft/exact/primitives.def"
constexpr std::array kRowNames{
#define WEFT_PRIMITIVE(name, text, meaning) std::string_view(text),
#include "weft/exact/primitives.def"
};
static_assert(kRowNames.size() == std::variant_size_v<Primitive>, "a primitive has no row in primitives.def");

struct Operands {
  std::vector<ValueId> operator()(const Input& /*p*/) const { return {}; }
  std::vector<ValueId> operator()(const Constant& /*p*/) const { return {}; }
  std::vector<ValueId> operator()(const MatVec& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Add& p) const { return {p.a, p.b}; }
  std::vector<ValueId> operator()(const Sub& p) const { return {p.a, p.b}; }
  std::vector<ValueId> operator()(const Mul& p) const { return {p.a, p.b}; }
  std::vector<ValueId> operator()(const Requant& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Reduce& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const ArgMax& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Concat& p) const { return p.xs; }
  std::vector<ValueId> operator()(const Permute& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Reshape& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Window& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Gather& p) const { return {p.x}; }
  std::vector<ValueId> operator()(const Forest& p) const { return {p.x}; }
};

}  // namespace

std::string_view name_of(const Primitive& primitive) { return kRowNames[primitive.index()]; }

std::vector<ValueId> operands(const Primitive& primitive) { return std::visit(Operands{}, primitive); }

}  // namespace weft::exact
