// SPDX-License-Identifier: Apache-2.0
#include "weft/support/arrays.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "weft/support/archive.h"

namespace weft::support {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

/// A .npy file as numpy lays it out, with any header.
std::string npy(const std::string& dict, const std::string& data, char version = 1) {
  std::string header = dict + "\n";
  std::string out = std::string("\x93NUMPY") + version + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>((header.size() >> (8 * i)) & 0xFFU);
  return out + header + data;
}

std::string dict(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}

struct ArraysTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  Array parse(const std::string& bytes) {
    auto array = parse_npy(bytes, "a.npy", ctx);
    EXPECT_TRUE(array.ok()) << (engine.all().empty() ? "" : engine.all().back().message);
    return array.ok() ? *array : Array{};
  }
  Kind failure(const std::string& bytes) {
    diag::Engine own;
    Context own_ctx{own};
    EXPECT_FALSE(parse_npy(bytes, "a.npy", own_ctx).ok());
    EXPECT_EQ(own.error_count(), 1U);
    return own.all().empty() ? Kind::Info : own.all()[0].kind;
  }
};

TEST_F(ArraysTest, ReadsEveryElementType) {
  using std::string_literals::operator""s;
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("|i1", "(2,)"), "\xff\x7f")).data), (Ints{-1, 127}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("|u1", "(2,)"), "\xff\x7f")).data), (Ints{255, 127}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("|b1", "(2,)"), "\x01\x00"s)).data), (Ints{1, 0}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("<i2", "(1,)"), "\xfe\xff")).data), (Ints{-2}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict(">i2", "(1,)"), "\xff\xfe")).data), (Ints{-2}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("<u4", "(1,)"), "\xff\xff\xff\xff")).data), (Ints{4294967295}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("<i8", "()"), "\x00\x00\x00\x00\x00\x00\x00\x80"s)).data),
            (Ints{std::numeric_limits<std::int64_t>::min()}));
  EXPECT_EQ(std::get<Floats>(parse(npy(dict("<f4", "(1,)"), "\x00\x00\xc0\xbf"s)).data), (Floats{-1.5F}));
  EXPECT_EQ(std::get<Floats>(parse(npy(dict(">f4", "(1,)"), "\xbf\xc0\x00\x00"s)).data), (Floats{-1.5F}));
  EXPECT_EQ(std::get<Doubles>(parse(npy(dict("<f8", "(1,)"), "\x00\x00\x00\x00\x00\x00\xf8\x3f"s)).data),
            (Doubles{1.5}));
  // Half precision: 1, -2, largest finite, smallest subnormal, infinity (IEEE 754 binary16).
  EXPECT_EQ(std::get<Floats>(parse(npy(dict("<f2", "(5,)"), "\x00\x3c\x00\xc0\xff\x7b\x01\x00\x00\x7c"s)).data),
            (Floats{1, -2, 65504, 0x1p-24F, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(std::get<Texts>(parse(npy(dict("|S3", "(2,)"), "ab\0xyz"s)).data), (Texts{"ab", "xyz"}));
  EXPECT_EQ(std::get<Texts>(parse(npy(dict("<U2", "(1,)"), "\xe9\x00\x00\x00\xac\x20\x00\x00"s)).data),
            (Texts{"\xc3\xa9\xe2\x82\xac"}));
  const auto array = parse(npy(dict("<u2", "(1,)"), "\x01\x00"s));
  EXPECT_EQ(array.dtype, "u2");
}

TEST_F(ArraysTest, ReadsOrdersAndVersions) {
  const std::string data = "\x01\x02\x03\x04\x05\x06";
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("|i1", "(2, 3)"), data)).data), (Ints{1, 2, 3, 4, 5, 6}));
  const auto fortran = parse(npy(dict("|i1", "(2, 3)", true), data));
  EXPECT_EQ(std::get<Ints>(fortran.data), (Ints{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(fortran.shape, (Ints{2, 3}));
  EXPECT_EQ(std::get<Ints>(parse(npy(dict("|i1", "(1, 2, 3)", true), data)).data), (Ints{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(parse(npy(dict("|i1", "(6L,)"), data, 2)).shape, (Ints{6}));
  EXPECT_EQ(parse(npy(dict("|i1", "(6,)"), data, 3)).shape, (Ints{6}));
  EXPECT_EQ(parse(npy(dict("<f4", "(0, 5)", true), "")).size(), 0);
}

TEST_F(ArraysTest, RefusesWhatItDoesNotRead) {
  const std::string eight(8, '\xff');
  EXPECT_EQ(failure(npy(dict("<u8", "(1,)"), eight)), Kind::ArrayMalformed);
  for (const auto* descr : {"|O", "<c8", "<M8[s]", "<f16", "|V8", "f", "", "<i3", "|S0", "|b8", "<f99999999999"}) {
    EXPECT_EQ(failure(npy(dict(descr, "(1,)"), eight)), Kind::ArrayMalformed) << descr;
  }
  for (const auto* shape : {"(8", "8", "(-8,)", "(8.0,)", "(,)", "(99999999999999999999,)", "(8,,)", "[8]"}) {
    EXPECT_EQ(failure(npy(dict("|i1", shape), eight)), Kind::ArrayMalformed) << shape;
  }
  EXPECT_EQ(failure(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", eight)),
            Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy("{'descr': '|i1', 'shape': (8,), }", eight)), Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy(dict("|i1", "(8,)") + "x", eight)), Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy(dict("|i1", "(8,)"), eight, 4)), Kind::ArrayMalformed);
}

TEST_F(ArraysTest, RefusesShapesThatLie) {
  EXPECT_EQ(failure(npy(dict("<f4", "(3,)"), "12345678")), Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy(dict("<f4", "(1,)"), "12345678")), Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy(dict("<f4", "(4294967296, 4294967296, 4294967296)"), "12345678")), Kind::LimitExceeded);
  EXPECT_EQ(failure(npy(dict("<f4", "(9223372036854775807, 0)"), "1234")), Kind::ArrayMalformed);
  EXPECT_EQ(failure(npy(dict("<f8", "(536870912,)"), "1234")), Kind::ArrayMalformed);
  std::string deep = "(";
  for (int i = 0; i < 33; ++i) deep += "1,";
  EXPECT_EQ(failure(npy(dict("|i1", deep + ")"), "x")), Kind::ArrayMalformed);
  const auto good = npy(dict("<f4", "(2,)"), "12345678");
  for (std::size_t n = 0; n < good.size(); ++n) failure(good.substr(0, n));
}

TEST_F(ArraysTest, WritesWhatItReads) {
  const std::vector<Array> arrays = {{{2, 2}, Floats{1, -2, 3.5F, 0}, "f4"},
                                     {{3}, Doubles{0.1, 1e300, -0.0}, "f8"},
                                     {{}, Ints{-5}, "i8"},
                                     {{0}, Ints{}, "i8"},
                                     {{2}, Texts{"a", "long"}, "S4"}};
  for (const auto& array : arrays) {
    const auto bytes = format_npy(array);
    const auto back = parse(bytes);
    EXPECT_EQ(back.shape, array.shape);
    EXPECT_EQ(back.data, array.data);
    EXPECT_EQ(back.dtype, array.dtype);
    EXPECT_EQ((static_cast<unsigned char>(bytes[8]) + 256 * static_cast<unsigned char>(bytes[9]) + 10) % 64, 0);
  }
  EXPECT_EQ(format_npy({{2}, Ints{1, 2}, "i8"}),
            npy(dict("<i8", "(2,)") + std::string(60, ' '), std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16)));
}

TEST_F(ArraysTest, Npz) {
  const std::map<std::string, Array> arrays = {{"x", {{1}, Floats{2}, "f4"}}, {"layer/y", {{1}, Ints{3}, "i8"}}};
  const auto bytes = format_npz(arrays, ctx);
  ASSERT_TRUE(bytes.ok());
  const auto back = parse_npz(*bytes, "a.npz", ctx);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ(std::get<Ints>(back->at("layer/y").data), (Ints{3}));
  for (std::size_t n = 0; n < bytes->size(); n += 7) EXPECT_FALSE(parse_npz(bytes->substr(0, n), "a", ctx).ok());
  EXPECT_FALSE(parse_npz(write_zip({{"readme", "x"}}, ctx).value(), "a", ctx).ok());
}

TEST_F(ArraysTest, Csv) {
  const auto parse_text = [&](const std::string& text) {
    auto array = parse_csv(text, "a.csv", ctx);
    EXPECT_TRUE(array.ok()) << text;
    return array.ok() ? *array : Array{};
  };
  for (const auto* text :
       {"1,2,3\n-4,5e1,+6\n", "a, b, c\r\n1, 2, 3\r\n-4, 5e1, 6", "1;2;3\n\n-4;50;6\n", "# x\n  1 2\t3\n-4  50 6 \n",
        "\xEF\xBB\xBF"
        "1,2,3\n-4,50,6"}) {
    const auto array = parse_text(text);
    EXPECT_EQ(array.shape, (Ints{2, 3})) << text;
    EXPECT_EQ(std::get<Doubles>(array.data), (Doubles{1, 2, 3, -4, 50, 6})) << text;
  }
  EXPECT_EQ(parse_text("7").shape, (Ints{1, 1}));
  for (const auto* text : {"", "a,b\n", "1,2\n3\n", "1,2\nx,y\n", "a\nb\n1\n", "1,\n", "1,2;3\n", "1 2,3\n"}) {
    const auto before = engine.error_count();
    EXPECT_FALSE(parse_csv(text, "a.csv", ctx).ok()) << text;
    EXPECT_EQ(engine.error_count(), before + 1);
    EXPECT_EQ(engine.all().back().kind, Kind::ArrayMalformed);
  }
}

TEST_F(ArraysTest, RecognizesFilesByContent) {
  const auto path = std::filesystem::path(testing::TempDir()) / "weft_arrays_test.bin";
  const Array array{{1, 2}, Doubles{1, 2}, "f8"};
  for (const auto& [content, key] : std::vector<std::pair<std::string, std::string>>{
           {format_npy(array), ""}, {format_npz({{"k", array}}, ctx).value(), "k"}, {"1,2\n", ""}}) {
    std::ofstream(path, std::ios::binary) << content;
    const auto arrays = read_arrays(path, ctx);
    ASSERT_TRUE(arrays.ok());
    ASSERT_EQ(arrays->count(key), 1U);
    EXPECT_EQ(arrays->at(key).data, array.data);
    EXPECT_EQ(arrays->at(key).shape, array.shape);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace weft::support
