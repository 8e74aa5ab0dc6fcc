// SPDX-License-Identifier: Apache-2.0
// Programs written by hand: both layouts, views of storages, refusals.
#include "weft/formats/torch/torch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weft/formats/torch/pickle.h"
#include "weft/formats/torch/test_program.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::torch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What went wrong first.
struct Problem {
  Kind kind = Kind::Info;
  std::string message;
  std::size_t errors = 0;
};

Problem problem_of(const diag::Engine& engine) {
  Problem out;
  for (const auto& d : engine.all()) {
    if (d.severity != diag::Severity::Error) continue;
    if (out.errors++ == 0) {
      out.kind = d.kind;
      out.message = d.message;
    }
  }
  return out;
}

std::vector<float> run(const std::string& bytes, const std::vector<float>& x, std::int64_t batch) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto graph = read_pt2_bytes(bytes, "m.pt2", ctx);
  EXPECT_TRUE(graph.ok()) << problem_of(engine).message;
  if (!graph) return {};
  EXPECT_TRUE(layers::check(*graph, ctx).ok()) << problem_of(engine).message;
  auto tensors = layers::run_float(*graph, {x}, batch, ctx);
  EXPECT_TRUE(tensors.ok()) << problem_of(engine).message;
  return tensors ? (*tensors)[graph->outputs.front().tensor.index] : std::vector<float>();
}

/// Reads what must be refused.
Problem refusal(const TestProgram& p) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  EXPECT_FALSE(read_pt2_bytes(p.bytes(), "m.pt2", ctx).ok());
  return problem_of(engine);
}

void expect_refused(const TestProgram& p, Kind kind, const std::string& words) {
  const Problem seen = refusal(p);
  EXPECT_EQ(seen.kind, kind) << seen.message;
  EXPECT_THAT(seen.message, HasSubstr(words));
}

/// y = x W^T + b with W = [[1, 2], [3, 4], [5, 6]] as given by `strides` and `offset` in `stored`.
TestProgram linear(const std::vector<std::int64_t>& strides, std::int64_t offset, const std::vector<float>& stored) {
  TestProgram p;
  p.input("x", {1, 2});
  p.parameter("w", {3, 2}, strides, offset, stored);
  p.parameter("b", {3}, {1}, 0, {0.5F, 0.25F, -1});
  p.node("aten.linear.default", {{"input", named("x")}, {"weight", named("p_w")}, {"bias", named("p_b")}}, "y", {1, 3});
  p.outputs = {"y"};
  return p;
}

TEST(Torch, StridesAndOffsetsSayWhereElementsLie) {
  const std::vector<float> x{1, 10, -1, 2};
  const auto wanted = ElementsAre(21.5F, 43.25F, 64.0F, 3.5F, 5.25F, 6.0F);
  EXPECT_THAT(run(linear({2, 1}, 0, {1, 2, 3, 4, 5, 6}).bytes(), x, 2), wanted);
  EXPECT_THAT(run(linear({1, 3}, 0, {1, 3, 5, 2, 4, 6}).bytes(), x, 2), wanted);
  EXPECT_THAT(run(linear({2, 1}, 2, {9, 9, 1, 2, 3, 4, 5, 6}).bytes(), x, 2), wanted);
}

TEST(Torch, ViewsBeyondTheirStorageAreRefused) {
  expect_refused(linear({2, 1}, 1, {1, 2, 3, 4, 5, 6}), Kind::ModelMalformed, "reaches element 6 of a storage of 6");
}

TEST(Torch, HugeViewsAreRefused) {
  TestProgram q;
  q.input("x", {1, 2});
  q.parameter("w", {std::int64_t{1} << 40, 2}, {0, 0}, 0, {1});
  q.node("aten.linear.default", {{"input", named("x")}, {"weight", named("p_w")}}, "y", {1, 3});
  q.outputs = {"y"};
  expect_refused(q, Kind::LimitExceeded, "elements together");
}

TEST(Torch, MissingWeightsAreNamed) {
  auto p = linear({2, 1}, 0, {1, 2, 3, 4, 5, 6});
  p.config.clear();
  expect_refused(p, Kind::WeightMissing, "`w` is not in the file");
}

TEST(Torch, UnknownOperatorsAreNamedAllAtOnce) {
  TestProgram p;
  p.input("x", {1, 2});
  p.node("aten.special_bessel_j0.default", {{"self", named("x")}}, "a", {1, 2});
  p.node("aten.cummax.default", {{"self", named("a")}, {"dim", R"({"as_int": 1})"}}, "b", {1, 2});
  p.outputs = {"b"};
  const Problem seen = refusal(p);
  EXPECT_EQ(seen.kind, Kind::LayerUnsupported);
  EXPECT_THAT(seen.message, HasSubstr("aten.special_bessel_j0.default"));
  EXPECT_EQ(seen.errors, 2U);
}

TEST(Torch, UnknownArgumentsAreRefused) {
  TestProgram p;
  p.input("x", {1, 2});
  p.node("aten.relu.default", {{"self", named("x")}, {"cap", R"({"as_float": 6.0})"}}, "y", {1, 2});
  p.outputs = {"y"};
  expect_refused(p, Kind::AttributeUnknown, "`cap`");
}

TEST(Torch, WrongShapesInTheFileAreNoticed) {
  TestProgram p;
  p.input("x", {1, 2});
  p.node("aten.relu.default", {{"self", named("x")}}, "y", {1, 3});
  p.outputs = {"y"};
  expect_refused(p, Kind::ModelMalformed, "comes out as [1, 2]");
}

TEST(Torch, TrainingModeIsRefused) {
  TestProgram p;
  p.input("x", {4, 2});
  p.node("aten.batch_norm.default", {{"input", named("x")}, {"training", R"({"as_bool": true})"}}, "y", {4, 2});
  p.outputs = {"y"};
  expect_refused(p, Kind::AttributeUnsupported, ".eval()");
  TestProgram q;
  q.input("x", {4, 2});
  q.node("aten.dropout.default",
         {{"input", named("x")}, {"p", R"({"as_float": 0.5})"}, {"train", R"({"as_bool": true})"}}, "y", {4, 2});
  q.outputs = {"y"};
  expect_refused(q, Kind::AttributeUnsupported, ".eval()");
}

TEST(Torch, OnlyTheBatchMayBeOpen) {
  TestProgram p;
  p.input("x", {1, 2});
  p.values["x"] = R"({"dtype": 7, "sizes": [{"as_int": 1}, {"as_expr": {"expr_str": "s1"}}]})";
  p.node("aten.relu.default", {{"self", named("x")}}, "y", {1, 2});
  p.outputs = {"y"};
  expect_refused(p, Kind::ShapeMismatch, "only the batch");
}

TEST(Torch, PartsOfAnOpenBatchAreRefused) {
  TestProgram p;
  p.input("x", {1, 2});
  p.values["x"] = R"({"dtype": 7, "sizes": [{"as_expr": {"expr_str": "s0"}}, {"as_int": 2}]})";
  p.node(
      "aten.slice.Tensor",
      {{"self", named("x")}, {"dim", R"({"as_int": 0})"}, {"start", R"({"as_int": 0})"}, {"end", R"({"as_int": 1})"}},
      "y", {1, 2});
  p.outputs = {"y"};
  expect_refused(p, Kind::LayerUnsupported, "cut out of the batch");
}

TEST(Torch, OtherElementTypesAreRefused) {
  TestProgram p;
  p.input("x", {1, 2}, 8);
  p.node("aten.relu.default", {{"self", named("x")}}, "y", {1, 2});
  p.outputs = {"y"};
  expect_refused(p, Kind::AttributeUnsupported, "float64");
}

TEST(Torch, OldSchemasAreRefused) {
  TestProgram p;
  p.schema = 5;
  expect_refused(p, Kind::FormatUnknown, "schema version 5");
}

TEST(Torch, FakeQuantizationIsPyTorchs) {
  // round(x (1 / s)) clipped to [0, 3], times s, with s = 0.25: ties to even.
  TestProgram p;
  p.input("x", {1, 6});
  p.node("aten.fake_quantize_per_tensor_affine.default",
         {{"self", named("x")},
          {"scale", R"({"as_float": 0.25})"},
          {"zero_point", R"({"as_int": 0})"},
          {"quant_min", R"({"as_int": 0})"},
          {"quant_max", R"({"as_int": 3})"}},
         "y", {1, 6});
  p.outputs = {"y"};
  EXPECT_THAT(run(p.bytes(), {-1, 0.125F, 0.375F, 0.4F, 0.625F, 9}, 1), ElementsAre(0, 0, 0.5F, 0.5F, 0.5F, 0.75F));
}

TEST(Torch, AdaptivePoolsHaveWindowsOfTwoSizes) {
  // 5 elements to 3: [0, 2), [1, 4), [3, 5).
  TestProgram p;
  p.input("x", {1, 1, 5});
  p.node("aten.adaptive_avg_pool1d.default", {{"self", named("x")}, {"output_size", R"({"as_ints": [3]})"}}, "y",
         {1, 1, 3});
  p.outputs = {"y"};
  EXPECT_THAT(run(p.bytes(), {1, 3, 5, 7, 11}, 1), ElementsAre(2, 5, 9));
}

TEST(Torch, AdaptivePoolsDivideByHeightThenByWidth) {
  TestProgram p;
  p.input("x", {1, 1, 3, 10});
  p.node("aten.adaptive_avg_pool2d.default", {{"self", named("x")}, {"output_size", R"({"as_ints": [1, 2]})"}}, "y",
         {1, 1, 1, 2});
  p.outputs = {"y"};
  std::vector<float> x(30, 0.0F);
  x[0] = 5;
  EXPECT_THAT(run(p.bytes(), x, 1), ElementsAre(5.0F / 3.0F / 5.0F, 0));
  EXPECT_NE(5.0F / 3.0F / 5.0F, 5.0F / 15.0F);
}

TEST(Torch, SamePaddingIsLongerBehind) {
  // A kernel of 2: one zero behind.
  TestProgram p;
  p.input("x", {1, 1, 3});
  p.parameter("w", {1, 1, 2}, {2, 2, 1}, 0, {1, 10});
  p.node("aten.conv1d.padding",
         {{"input", named("x")}, {"weight", named("p_w")}, {"padding", R"({"as_string": "same"})"}}, "y", {1, 1, 3});
  p.outputs = {"y"};
  EXPECT_THAT(run(p.bytes(), {1, 2, 3}, 1), ElementsAre(21, 32, 3));
}

// --- the layout of PyTorch 2.5 to 2.7, with a pickled dictionary

std::string text(const std::string& s) {
  std::string out = "X";
  for (int i = 0; i < 4; ++i) out += static_cast<char>(s.size() >> (8 * i) & 0xff);
  return out + s;
}

/// A tensor of float32 in storage "0".
std::string pickled_tensor(const std::string& sizes_and_strides) {
  const std::string offset("K\0", 2);
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") +
         text("cpu") + "K\x06tQ" + offset + sizes_and_strides + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

std::string state(const std::string& tensor) { return "\x80\x02}(" + text("w") + tensor + "u."; }

TEST(Torch, OldLayoutWithPickledWeights) {
  TestProgram p;
  p.schema = 7;
  p.input("x", {1, 2});
  p.parameter("w", {3, 2}, {2, 1}, 0, {});
  p.node("aten.linear.default", {{"input", named("x")}, {"weight", named("p_w")}}, "y", {1, 3});
  p.outputs = {"y"};
  std::string pickle = state(pickled_tensor("K\x03K\x02\x86K\x01K\x03\x86"));
  const auto with = [&](const std::string& content) {
    return TestProgram::zip({{"serialized_exported_program.json", p.json()},
                             {"version", "7.3"},
                             {"serialized_constants.pt", ""},
                             {"serialized_state_dict.pt", TestProgram::zip({{"archive/data.pkl", content},
                                                                            {"archive/data/0", raw({1, 3, 5, 2, 4, 6})},
                                                                            {"archive/byteorder", "little"}})}});
  };
  EXPECT_EQ(recognize(with(pickle)), FileKind::Program);
  EXPECT_THAT(run(with(pickle), {1, 10}, 1), ElementsAre(21, 43, 65));
}

void expect_pickle_refused(const std::string& bytes, const std::string& words) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  EXPECT_FALSE(read_pickled_tensors(bytes, "data.pkl", ctx).ok());
  EXPECT_THAT(problem_of(engine).message, HasSubstr(words));
}

TEST(Pickles, CallsAreRefusedByName) {
  expect_pickle_refused(
      "\x80\x02"
      "cposix\nsystem\n" +
          text("true") + "\x85R.",
      "`posix.system`");
  expect_pickle_refused("\x80\x04" + text("builtins") + text("eval") + "\x93" + text("1") + "\x85R.",
                        "`builtins.eval`");
}

TEST(Pickles, OperationsThatMakeObjectsAreRefused) {
  expect_pickle_refused("\x80\x02(cos\nsystem\no.", "`os.system`");
  for (const std::string op : {"(S'true'\nios\nsystem\n.", "\x80\x02)\x81.", "P1\n."}) {
    expect_pickle_refused(op, "nothing is executed");
  }
}

TEST(Pickles, DamagedOnesAreRefused) {
  const std::string whole = state(pickled_tensor("K\x03K\x02\x86K\x02K\x01\x86"));
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto tensors = read_pickled_tensors(whole, "data.pkl", ctx);
  ASSERT_TRUE(tensors.ok());
  EXPECT_EQ(tensors->at("w").sizes, (std::vector<std::int64_t>{3, 2}));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    diag::Engine local;
    Context quiet{.diag = local};
    EXPECT_FALSE(read_pickled_tensors(whole.substr(0, n), "data.pkl", quiet).ok()) << n;
    EXPECT_GE(local.error_count(), 1U);
  }
  expect_pickle_refused("\x80\x02h\x07.", "recalls");
  expect_pickle_refused(state(pickled_tensor("K\x03\x85K\x02K\x01\x86")), "differ in length");
  expect_pickle_refused(state(pickled_tensor("J\xff\xff\xff\xff\x85K\x01\x85")), "from 0 on");
}

TEST(Torch, FilesAreRecognizedByContent) {
  EXPECT_EQ(recognize(linear({2, 1}, 0, {1, 2, 3, 4, 5, 6}).bytes()), FileKind::Program);
  EXPECT_EQ(recognize(TestProgram::zip({{"m/data.pkl", "x"}, {"m/data/0", "x"}})), FileKind::Pickle);
  EXPECT_EQ(recognize(TestProgram::zip({{"m/data.pkl", "x"}, {"m/constants.pkl", "x"}})), FileKind::Script);
  EXPECT_EQ(recognize(TestProgram::zip({{"graph.json", "x"}})), FileKind::None);
  EXPECT_EQ(recognize("\x80\x02}."), FileKind::Pickle);
  EXPECT_EQ(recognize(""), FileKind::None);
  diag::Engine engine;
  Context ctx{.diag = engine};
  static_cast<void>(refuse(FileKind::Pickle, "state.pt", ctx));
  EXPECT_THAT(problem_of(engine).message, HasSubstr("torch.export.save"));
}

TEST(Torch, NestedBombsAreBounded) {
  TestProgram p = linear({2, 1}, 0, {1, 2, 3, 4, 5, 6});
  const std::string bomb = TestProgram::zip({{"archive/data.pkl", std::string(1 << 20, '\0')}});
  std::map<std::string, std::string> members{{"serialized_exported_program.json", p.json()},
                                             {"serialized_state_dict.pt", bomb}};
  diag::Engine engine;
  Context ctx{.diag = engine};
  ctx.limits.unpacked_bytes = 1 << 19;
  EXPECT_FALSE(read_pt2_bytes(TestProgram::zip(members), "m.pt2", ctx).ok());
  EXPECT_EQ(problem_of(engine).kind, Kind::LimitExceeded);
}

/// a = 2 x, b = relu_(a), y = a + b: `a` is what the ReLU left.
TestProgram changed_in_place() {
  TestProgram p;
  p.input("x", {1, 2});
  p.node("aten.mul.Tensor", {{"self", named("x")}, {"other", R"({"as_float": 2.0})"}}, "a", {1, 2});
  p.node("aten.relu_.default", {{"self", named("a")}}, "b", {1, 2});
  p.node("aten.add.Tensor", {{"self", named("a")}, {"other", named("b")}}, "y", {1, 2});
  p.outputs = {"y"};
  return p;
}

TEST(Torch, OperatorsInPlaceChangeWhatIsReadLater) {
  EXPECT_THAT(run(changed_in_place().bytes(), {1, -3}, 1), ElementsAre(4.0F, 0.0F));
}

TEST(Torch, NamesOfTheSameTensorChangeTogether) {
  TestProgram p;
  p.input("x", {1, 2});
  p.node("aten.mul.Tensor", {{"self", named("x")}, {"other", R"({"as_float": 2.0})"}}, "a", {1, 2});
  p.node("aten.dropout.default",
         {{"input", named("a")}, {"p", R"({"as_float": 0.5})"}, {"train", R"({"as_bool": false})"}}, "d", {1, 2});
  p.node("aten.relu_.default", {{"self", named("d")}}, "b", {1, 2});
  p.node("aten.add_.Tensor", {{"self", named("b")}, {"other", R"({"as_float": 1.0})"}}, "c", {1, 2});
  p.outputs = {"a"};
  EXPECT_THAT(run(p.bytes(), {1, -3}, 1), ElementsAre(3.0F, 1.0F));
}

TEST(Torch, ViewsOfWhatChangesAreRefusedOnlyWhereTheyAreUsedLater) {
  const auto program = [](const std::string& second, const std::string& output) {
    TestProgram p;
    p.input("x", {1, 2});
    p.node("aten.mul.Tensor", {{"self", named("x")}, {"other", R"({"as_float": 2.0})"}}, "a", {1, 2});
    p.node("aten.unsqueeze.default", {{"self", named("a")}, {"dim", R"({"as_int": 1})"}}, "v", {1, 1, 2});
    p.node("aten.relu_.default", {{"self", named(second)}}, "b",
           second == "v" ? std::vector<std::int64_t>{1, 1, 2} : std::vector<std::int64_t>{1, 2});
    p.outputs = {output};
    return p;
  };
  EXPECT_THAT(run(program("a", "a").bytes(), {1, -3}, 1), ElementsAre(2.0F, 0.0F));
  EXPECT_THAT(run(program("v", "v").bytes(), {1, -3}, 1), ElementsAre(2.0F, 0.0F));
  expect_refused(program("a", "v"), Kind::LayerUnsupported, "`v`, which shares its memory, is used later");
  expect_refused(program("v", "a"), Kind::LayerUnsupported, "`a`, which shares its memory, is used later");
}

TEST(Torch, RemaindersHaveTheSignOfEither) {
  const auto program = [](const std::string& op) {
    TestProgram p;
    p.input("x", {1, 4});
    p.node(op, {{"self", named("x")}, {"other", R"({"as_float": 1.5})"}}, "y", {1, 4});
    p.outputs = {"y"};
    return p.bytes();
  };
  const std::vector<float> x{-3.5F, -1.5F, 2.0F, 4.75F};
  EXPECT_THAT(run(program("aten.fmod.Scalar"), x, 1), ElementsAre(-0.5F, -0.0F, 0.5F, 0.25F));
  EXPECT_THAT(run(program("aten.remainder.Scalar"), x, 1), ElementsAre(1.0F, -0.0F, 0.5F, 0.25F));
  EXPECT_THAT(run(program("aten.floor_divide.Scalar"), x, 1), ElementsAre(-3.0F, -1.0F, 1.0F, 3.0F));
}

TEST(Torch, PartsAreReplaced) {
  TestProgram p;
  p.input("x", {1, 4});
  p.node("aten.slice_scatter.default",
         {{"self", named("x")},
          {"src", R"({"as_tensor": {"name": "x2"}})"},
          {"dim", R"({"as_int": 1})"},
          {"start", R"({"as_int": 1})"},
          {"end", R"({"as_int": 4})"},
          {"step", R"({"as_int": 2})"}},
         "y", {1, 4});
  p.input("x2", {1, 2});
  p.outputs = {"y"};
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto graph = read_pt2_bytes(p.bytes(), "m.pt2", ctx);
  ASSERT_TRUE(graph.ok()) << problem_of(engine).message;
  ASSERT_TRUE(layers::check(*graph, ctx).ok());
  auto tensors = layers::run_float(*graph, {{1, 2, 3, 4}, {-1, -2}}, 1, ctx);
  ASSERT_TRUE(tensors.ok());
  EXPECT_THAT((*tensors)[graph->outputs.front().tensor.index], ElementsAre(1.0F, -1.0F, 3.0F, -2.0F));
}

}  // namespace
}  // namespace weft::formats::torch
