// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/type.h"

#include <gtest/gtest.h>

#include <random>

#include "weft/diag/diag.h"

namespace weft::fixed {
namespace {

TypeSpec parsed(std::string_view text, bool own_defaults = true) {
  std::string error;
  const auto spec = parse_type(text, own_defaults, error);
  EXPECT_TRUE(spec.has_value()) << text << ": " << error;
  return spec.value_or(TypeSpec{});
}

FixedType type(int w, int i, bool is_signed, Rounding q, Overflow o, int n = 0) { return {w, i, is_signed, q, o, n}; }

TEST(ParseType, KnowsEveryForm) {
  using R = Rounding;
  using O = Overflow;
  EXPECT_EQ(parsed("fixed<16,6>").fixed, type(16, 6, true, R::RndConv, O::Sat));
  EXPECT_EQ(parsed("fixed<16,6>", false).fixed, type(16, 6, true, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("ufixed<8,0,RND,SAT>").fixed, type(8, 0, false, R::Rnd, O::Sat));
  EXPECT_EQ(parsed("ap_fixed<16,6>").fixed, type(16, 6, true, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("ap_fixed<16,6,AP_RND,AP_SAT>").fixed, type(16, 6, true, R::Rnd, O::Sat));
  EXPECT_EQ(parsed("ap_ufixed<8,-3,AP_RND_MIN_INF,AP_WRAP,2>").fixed, type(8, -3, false, R::RndMinInf, O::Wrap, 2));
  EXPECT_EQ(parsed("ac_fixed<16,6,true,AC_RND,AC_SAT>").fixed, type(16, 6, true, R::Rnd, O::Sat));
  EXPECT_EQ(parsed("ac_fixed<16,20,false>").fixed, type(16, 20, false, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("int<8>").fixed, type(8, 8, true, R::RndConv, O::Sat));
  EXPECT_EQ(parsed("uint<4>", false).fixed, type(4, 4, false, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("ap_int<9>").fixed, type(9, 9, true, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("ap_uint<9>").fixed, type(9, 9, false, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("ac_int<5,false>").fixed, type(5, 5, false, R::Trn, O::Wrap));
  EXPECT_EQ(parsed("  Fixed < 16 ,\t6 , rnd_conv , Sat_Sym > ").fixed, type(16, 6, true, R::RndConv, O::SatSym));
  EXPECT_EQ(parsed("auto").form, TypeSpec::Form::Auto);
  EXPECT_EQ(parsed("Binary").form, TypeSpec::Form::Binary);
  EXPECT_EQ(parsed("fixed<128,0>").fixed.width_bits, 128);
}

TEST(ParseType, GivesTheCodesOfTheSmallSets) {
  for (const auto* text : {"ternary", "bipolar"}) {
    EXPECT_EQ(min_code(parsed(text).fixed), -1) << text;
    EXPECT_EQ(max_code(parsed(text).fixed), 1) << text;
  }
  EXPECT_EQ(min_code(parsed("binary").fixed), 0);
  EXPECT_EQ(max_code(parsed("binary").fixed), 1);
}

TEST(ParseType, TellsWhetherModesWereWritten) {
  EXPECT_FALSE(parsed("fixed<16,6>").modes_given);
  EXPECT_TRUE(parsed("fixed<16,6,RND>").modes_given);
  EXPECT_FALSE(parsed("ac_fixed<16,6,true>").modes_given);
}

TEST(ParseType, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is not a type"},
      {"float", "is not a type"},
      {"fixed", "takes 2 to 5 arguments, not 0"},
      {"fixed<16>", "takes 2 to 5 arguments, not 1"},
      {"fixed<16,6", "does not end with `>`"},
      {"fixed<16,six>", "`six` is not a number of bits"},
      {"fixed<16.0,6>", "`16.0` is not a number of bits"},
      {"fixed<0,0>", "the width must be"},
      {"fixed<129,0>", "the width must be"},
      {"fixed<8,99999>", "the integer bits must be"},
      {"fixed<8,99999999999999999999>", "is not a number of bits"},
      {"fixed<8,4,ROUND>", "`round` is not a rounding mode"},
      {"fixed<8,4,RND,CLIP>", "`clip` is not an overflow mode"},
      {"fixed<8,4,RND,WRAP,9>", "the saturation bits must be"},
      {"ufixed<8,4,RND,WRAP_SM>", "no sign-magnitude wrap"},
      {"int<8,8>", "takes 1 argument, not 2"},
      {"ac_fixed<8,4>", "takes 3 to 6 arguments, not 2"},
      {"ac_int<8,yes>", "is not `true` or `false`"},
      {"binary<1>", "is not a type"},
  };
  for (const auto& [text, why] : cases) {
    std::string error;
    EXPECT_FALSE(parse_type(text, true, error).has_value()) << text;
    EXPECT_NE(error.find(why), std::string::npos) << text << ": " << error;
  }
  std::string error;
  EXPECT_FALSE(parse_type(std::string(100000, '<'), true, error).has_value());
}

TEST(ParseType, RoundTripsEveryType) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    TypeSpec spec{.form = TypeSpec::Form::Fixed, .fixed = {}, .modes_given = true};
    auto& t = spec.fixed;
    t.width_bits = 1 + static_cast<int>(random() % 128);
    t.integer_bits = static_cast<int>(random() % 300) - 150;
    t.is_signed = random() % 2 == 0;
    t.rounding = static_cast<Rounding>(random() % 9);
    t.overflow = static_cast<Overflow>(random() % (t.is_signed ? 5 : 4));
    t.saturation_bits = static_cast<int>(random()) % 3 == 0 ? 1 : 0;
    EXPECT_EQ(parsed(to_string(t)).fixed, t);
    EXPECT_EQ(parsed(to_string(spec)), spec);
  }
  for (const auto* text :
       {"fixed<16,6>", "ufixed<4,1>", "ap_fixed<9,2>", "ap_ufixed<9,2>", "binary", "bipolar", "ternary", "auto"}) {
    EXPECT_EQ(to_string(parsed(text)), text);
  }
}

TEST(Codes, SpanTheType) {
  EXPECT_EQ(min_code({.width_bits = 8}), -128);
  EXPECT_EQ(max_code({.width_bits = 8}), 127);
  EXPECT_EQ(min_code({.width_bits = 8, .overflow = Overflow::SatSym}), -127);
  EXPECT_EQ(min_code({.width_bits = 8, .is_signed = false, .overflow = Overflow::SatSym}), 0);
  EXPECT_EQ(max_code({.width_bits = 8, .is_signed = false}), 255);
  EXPECT_EQ(to_string(min_code({.width_bits = 128})), "-170141183460469231731687303715884105728");
  EXPECT_EQ(to_string(max_code({.width_bits = 127, .is_signed = false})), "170141183460469231731687303715884105727");
  EXPECT_THROW(max_code({.width_bits = 128, .is_signed = false}), diag::InternalError);
}

TEST(Modes, RoundTripWithEveryPrefix) {
  for (int i = 0; i < 9; ++i) {
    const auto mode = static_cast<Rounding>(i);
    for (const auto* prefix : {"", "AP_", "AC_", "ap_"}) {
      EXPECT_EQ(parse_rounding(prefix + std::string(to_string(mode))), mode);
    }
  }
  for (int i = 0; i < 5; ++i) {
    const auto mode = static_cast<Overflow>(i);
    EXPECT_EQ(parse_overflow("AC_" + std::string(to_string(mode))), mode);
  }
  EXPECT_FALSE(parse_rounding("AP_").has_value());
  EXPECT_FALSE(parse_rounding("AC_RND_CONV_ODD").has_value());
  EXPECT_FALSE(parse_overflow("").has_value());
}

}  // namespace
}  // namespace weft::fixed
