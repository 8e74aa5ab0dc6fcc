// SPDX-License-Identifier: Apache-2.0
// QKeras' text form.
#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

Spec with(const std::string& family, const AttributeMap& given) {
  Spec spec{family, find_family(family)->defaults};
  for (const auto& [key, value] : given) spec.parameters[key] = value;
  return spec;
}

TEST(ParseText, Accepts) {
  struct Row {
    const char* text;
    Spec spec;
  };
  const std::vector<Row> rows = {
      {"relu", with("relu", {})},
      {"binary_tanh", with("binary_tanh", {})},
      {"quantized_bits", with("quantized_bits", {})},
      {"quantized_bits()", with("quantized_bits", {})},
      {"quantized_relu(4,2)", with("quantized_relu", {{"bits", whole(4)}, {"integer", whole(2)}})},
      {"quantized_bits(6, 0, alpha=1)",
       with("quantized_bits", {{"bits", whole(6)}, {"integer", whole(0)}, {"alpha", whole(1)}})},
      {" quantized_bits ( 4 , 0 , 1 , alpha = 'auto_po2' ) ",
       with("quantized_bits",
            {{"bits", whole(4)}, {"integer", whole(0)}, {"symmetric", whole(1)}, {"alpha", text("auto_po2")}})},
      {"quantized_bits(8,3,keep_negative=False,use_stochastic_rounding=1)",
       with("quantized_bits", {{"bits", whole(8)},
                               {"integer", whole(3)},
                               {"keep_negative", false},
                               {"use_stochastic_rounding", whole(1)}})},
      {"quantized_relu(4,0,0,0.25)",
       with("quantized_relu",
            {{"bits", whole(4)}, {"integer", whole(0)}, {"use_sigmoid", whole(0)}, {"negative_slope", num(0.25)}})},
      {"quantized_tanh(5,1)", with("quantized_tanh", {{"bits", whole(5)}, {"use_stochastic_rounding", whole(1)}})},
      {"quantized_sigmoid(5,1,1)",
       with("quantized_sigmoid", {{"bits", whole(5)}, {"symmetric", whole(1)}, {"use_real_sigmoid", whole(1)}})},
      {"quantized_po2(4,8,quadratic_approximation=1)",
       with("quantized_po2", {{"bits", whole(4)}, {"max_value", whole(8)}, {"quadratic_approximation", whole(1)}})},
      {"binary(alpha=\"auto\")", with("binary", {{"alpha", text("auto")}})},
      {"ternary(None,-.5e0)", with("ternary", {{"alpha", text("none")}, {"threshold", num(-0.5)}})},
      {"binary(1,+2.)", with("binary", {{"use_01", whole(1)}, {"alpha", num(2.0)}})},
      {"quantized_bits(4,alpha=[0.5 1. 2])",
       with("quantized_bits", {{"bits", whole(4)}, {"alpha", std::vector<double>{0.5, 1.0, 2.0}}})},
      {"quantized_bits(4,alpha=[0.5, 1])",
       with("quantized_bits", {{"bits", whole(4)}, {"alpha", std::vector<double>{0.5, 1.0}}})},
      {"quantized_linear(4,0,1)",
       with("quantized_linear", {{"bits", whole(4)}, {"integer", whole(0)}, {"symmetric", whole(1)}})},
  };
  for (const Row& row : rows) {
    TestContext t;
    const auto spec = parse_text(row.text, {}, t.ctx);
    ASSERT_TRUE(spec.ok()) << row.text << ": " << t.messages();
    EXPECT_EQ(*spec, row.spec) << row.text;
    EXPECT_TRUE(make(*spec, {}, t.ctx).ok()) << row.text << ": " << t.messages();
  }
}

TEST(ParseText, Refuses) {
  for (const char* text : {"",
                           " ",
                           "(",
                           ")",
                           "()",
                           "4",
                           "quantized_bits(",
                           "quantized_bits)",
                           "quantized_bits(4",
                           "quantized_bits(4))",
                           "quantized_bits(4,)",
                           "quantized_bits(,4)",
                           "quantized_bits(4,,5)",
                           "quantized_bits(four)",
                           "quantized_bits(bits=)",
                           "quantized_bits(=4)",
                           "quantized_bits(bits=4,5)",
                           "quantized_bits(4,bits=5)",
                           "quantized_bits(bits=4,bits=5)",
                           "quantized_bits(width=4)",
                           "quantized_bits(4) + 1",
                           "quantized_bits(4)(5)",
                           "quantized_bits(alpha='auto)",
                           "relu(3)",
                           "quantized_bits(alpha=[1)",
                           "quantized_bits(alpha=1])",
                           "quantized_bits(alpha=[a])",
                           "no_such_thing(4)",
                           "os.system('x')",
                           "__import__('os')",
                           "quantized_bits(nan)",
                           "quantized_bits(1e999)",
                           "quantized_bits(0x10)",
                           "quantized_bits(--4)",
                           "quantized_bits(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16)",
                           "quantized bits(4)"}) {
    TestContext t;
    EXPECT_FALSE(parse_text(text, {}, t.ctx).ok()) << text;
    ASSERT_EQ(t.engine.error_count(), 1U) << text;
    EXPECT_EQ(t.engine.all()[0].kind, Kind::QuantizerUnsupported);
  }
}

TEST(ParseText, SurvivesGarbage) {
  std::mt19937 random(1);
  const std::string alphabet = "quantized_bits(),= '\"[]0123456789.eE+-TrueNone\n\0\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string garbage = random() % 2 == 0 ? "quantized_bits(" : "";
    const std::size_t length = random() % 24;
    for (std::size_t k = 0; k < length; ++k) garbage += alphabet[random() % alphabet.size()];
    TestContext t;
    const auto spec = parse_text(garbage, {}, t.ctx);
    if (spec.ok()) {
      static_cast<void>(make(*spec, {}, t.ctx));
    } else {
      EXPECT_EQ(t.engine.error_count(), 1U);
    }
  }
}

}  // namespace
}  // namespace weft::quantizers
