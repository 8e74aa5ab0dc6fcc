// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/hdf5_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "weft/formats/keras/test_files.h"

namespace weft::formats::keras {
namespace {

using Texts = std::vector<std::string>;

struct Hdf5Test : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  void SetUp() override { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

  std::string last_message() { return engine.all().empty() ? "" : engine.all().back().message; }
  Hdf5File open(const Hdf5Builder& file) {
    auto out = Hdf5File::open(file.bytes(), "t.h5", ctx);
    EXPECT_TRUE(out.ok()) << last_message();
    return std::move(out).value();
  }
  FloatTensor read(Hdf5File& file, const std::string& path) {
    const auto object = file.find(file.root(), path, ctx);
    if (!object.ok() || !object->has_value()) {
      ADD_FAILURE() << path << " " << last_message();
      return {};
    }
    auto values = file.read_floats(**object, ctx);
    EXPECT_TRUE(values.ok()) << last_message();
    return values.ok() ? *values : FloatTensor{};
  }
  /// The message of the refusal to read one dataset.
  std::string refusal(const Hdf5Builder& builder, const std::string& path = "x") {
    auto file = open(builder);
    const auto object = file.find(file.root(), path, ctx);
    if (!object.ok()) return last_message();
    EXPECT_TRUE(object->has_value());
    if (!object->has_value()) return "";
    EXPECT_FALSE(file.read_floats(**object, ctx).ok());
    return last_message();
  }
};

struct Properties {
  hid_t id = H5Pcreate(H5P_DATASET_CREATE);
  ~Properties() { H5Pclose(id); }
};

TEST_F(Hdf5Test, ReadsGroupsAndContiguousData) {
  for (const bool newest : {false, true}) {
    Hdf5Builder builder(newest);
    builder.floats("a/b/x", {2, 3}, ramp(6));
    builder.floats("a/scalar", {}, {7.5F});
    builder.floats("a/empty", {0, 4}, {});
    builder.group("a/none");
    auto file = open(builder);
    EXPECT_EQ(read(file, "a/b/x"), FloatTensor({2, 3}, ramp(6)));
    EXPECT_EQ(read(file, "/a//scalar"), FloatTensor({}, {7.5F}));
    EXPECT_EQ(read(file, "a/empty"), FloatTensor({0, 4}, {}));
    const auto members = file.members(file.find(file.root(), "a", ctx).value().value(), ctx);
    ASSERT_TRUE(members.ok());
    Texts names;
    for (const auto& [name, object] : *members) names.push_back(name);
    EXPECT_EQ(names, (Texts{"b", "empty", "none", "scalar"}));
    EXPECT_FALSE(file.find(file.root(), "a/c/d", ctx).value().has_value());
    EXPECT_TRUE(file.is_dataset(file.find(file.root(), "a/b/x", ctx).value().value(), ctx).value());
    EXPECT_FALSE(file.is_dataset(file.find(file.root(), "a/b", ctx).value().value(), ctx).value());
  }
  EXPECT_FALSE(engine.has_errors()) << last_message();
}

TEST_F(Hdf5Test, ReadsGroupsOfManyMembers) {
  // More than one symbol node and more than one level of the tree.
  Hdf5Builder builder;
  for (int i = 0; i < 700; ++i) builder.floats(fmt::format("g/d{}", i), {1}, {static_cast<float>(i)});
  auto file = open(builder);
  for (const int i : {0, 1, 99, 350, 699}) {
    EXPECT_EQ(read(file, fmt::format("g/d{}", i)).data, std::vector<float>{static_cast<float>(i)});
  }
}

TEST_F(Hdf5Test, ReadsEveryFloatType) {
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);  // as h5py makes float16
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  const std::vector<float> values = {0, 1, -2.5F, 0.125F, 65504, 0x1p-24F};
  for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, half}) {
    Hdf5Builder builder;
    builder.dataset("x", {6}, values, type, H5P_DEFAULT);
    auto file = open(builder);
    EXPECT_EQ(read(file, "x").data, values);
  }
  for (const hid_t type : {H5T_STD_I32LE, H5T_STD_U8LE, H5T_NATIVE_LDOUBLE}) {
    Hdf5Builder builder;
    builder.dataset("x", {6}, values, type, H5P_DEFAULT);
    EXPECT_NE(refusal(builder).find("floats"), std::string::npos) << last_message();
  }
  H5Tclose(half);
}

TEST_F(Hdf5Test, ReadsChunksWithFilters) {
  const auto values = ramp(7 * 11 * 3);
  for (const int filters : {0, 1, 2, 3}) {
    Properties properties;
    const hsize_t chunk[3] = {3, 4, 2};
    H5Pset_chunk(properties.id, 3, chunk);
    if ((filters & 1) != 0) H5Pset_shuffle(properties.id);
    if ((filters & 2) != 0) H5Pset_deflate(properties.id, 6);
    Hdf5Builder builder;
    builder.dataset("x", {7, 11, 3}, values, H5T_IEEE_F32LE, properties.id);
    auto file = open(builder);
    EXPECT_EQ(read(file, "x"), FloatTensor({7, 11, 3}, values));
  }
  Properties compact;
  H5Pset_layout(compact.id, H5D_COMPACT);
  Hdf5Builder builder;
  builder.dataset("x", {5}, ramp(5), H5T_IEEE_F32LE, compact.id);
  auto file = open(builder);
  EXPECT_EQ(read(file, "x").data, ramp(5));
}

TEST_F(Hdf5Test, ReadsTextAttributes) {
  for (const bool newest : {false, true}) {
    Hdf5Builder builder(newest);
    builder.text("", "variable", "some text");
    builder.text("", "nothing", "");
    builder.texts("g", "fixed", {"a", "bcd", ""});
    builder.texts("g", "empty", {});
    const std::string big(60000, 'x');
    if (!newest) builder.text("g", "big", big);
    auto file = open(builder);
    const auto g = file.find(file.root(), "g", ctx).value().value();
    EXPECT_EQ(file.text_attribute(file.root(), "variable", ctx).value(), Texts{"some text"});
    EXPECT_EQ(file.text_attribute(file.root(), "nothing", ctx).value(), Texts{""});
    EXPECT_EQ(file.text_attribute(g, "fixed", ctx).value(), (Texts{"a", "bcd", ""}));
    EXPECT_EQ(file.text_attribute(g, "empty", ctx).value(), Texts{});
    if (!newest) {
      EXPECT_EQ(file.text_attribute(g, "big", ctx).value(), Texts{big});
    }
    EXPECT_EQ(file.text_attribute(g, "absent", ctx).value(), std::nullopt);
  }
}

TEST_F(Hdf5Test, RefusesWhatReachesOutOfTheFile) {
  Hdf5Builder links;
  H5Lcreate_external("/etc/passwd", "/x", links.id(), "x", H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_NE(refusal(links).find("links are not followed"), std::string::npos) << last_message();
  Hdf5Builder soft;
  soft.floats("y", {1}, {1});
  H5Lcreate_soft("/y", soft.id(), "x", H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_NE(refusal(soft).find("links are not followed"), std::string::npos) << last_message();

  Properties external;
  H5Pset_external(external.id, "other.bin", 0, 16);
  Hdf5Builder outside;
  outside.dataset("x", {4}, {}, H5T_IEEE_F32LE, external.id);
  EXPECT_NE(refusal(outside).find("external file"), std::string::npos) << last_message();

  Properties mapped;
  const hsize_t four = 4;
  const hid_t space = H5Screate_simple(1, &four, nullptr);
  H5Pset_virtual(mapped.id, space, "other.h5", "/x", space);
  H5Sclose(space);
  Hdf5Builder virtual_data(true);
  virtual_data.dataset("x", {4}, {}, H5T_IEEE_F32LE, mapped.id);
  EXPECT_NE(refusal(virtual_data).find("virtual"), std::string::npos) << last_message();
}

TEST_F(Hdf5Test, RefusesOtherFiltersAndForms) {
  const hsize_t chunk = 4;
  Properties checksum;
  H5Pset_chunk(checksum.id, 1, &chunk);
  H5Pset_fletcher32(checksum.id);
  Hdf5Builder filtered;
  filtered.dataset("x", {4}, ramp(4), H5T_IEEE_F32LE, checksum.id);
  EXPECT_NE(refusal(filtered).find("filter 3"), std::string::npos) << last_message();

  Properties chunked;
  H5Pset_chunk(chunked.id, 1, &chunk);
  Hdf5Builder newest(true);
  newest.dataset("x", {8}, ramp(8), H5T_IEEE_F32LE, chunked.id);
  EXPECT_NE(refusal(newest).find("default settings"), std::string::npos) << last_message();

  Hdf5Builder dense(true);
  for (int i = 0; i < 40; ++i) dense.group(fmt::format("g{}", i));
  auto file = open(dense);
  EXPECT_FALSE(file.members(file.root(), ctx).ok());
  EXPECT_NE(last_message().find("dense link storage"), std::string::npos);

  Hdf5Builder attributes(true);
  for (int i = 0; i < 40; ++i) attributes.text("", fmt::format("a{}", i), "v");
  auto other = open(attributes);
  EXPECT_FALSE(other.text_attribute(other.root(), "a0", ctx).ok());
  EXPECT_NE(last_message().find("dense attribute storage"), std::string::npos);

  Hdf5Builder unwritten;
  unwritten.dataset("x", {4}, {}, H5T_IEEE_F32LE, H5P_DEFAULT);
  EXPECT_NE(refusal(unwritten).find("never written"), std::string::npos) << last_message();
}

TEST_F(Hdf5Test, BoundsSizes) {
  Properties properties;
  const hsize_t chunk = 1 << 20;
  H5Pset_chunk(properties.id, 1, &chunk);
  H5Pset_deflate(properties.id, 9);
  Hdf5Builder builder;
  builder.dataset("x", {1 << 20}, std::vector<float>(1 << 20), H5T_IEEE_F32LE, properties.id);
  const auto bytes = builder.bytes();
  EXPECT_LT(bytes.size(), 20000U);
  const auto read_with = [&](Limits limits) {
    diag::Engine own;
    Context small{.diag = own, .limits = limits};
    auto file = Hdf5File::open(bytes, "t.h5", small);
    EXPECT_TRUE(file.ok());
    const bool ok = file->read_floats(file->find(file->root(), "x", small).value().value(), small).ok();
    if (!ok) {
      EXPECT_EQ(own.all().back().kind, Kind::LimitExceeded);
    }
    return ok;
  };
  EXPECT_TRUE(read_with({}));
  EXPECT_FALSE(read_with({.tensor_elements = (1 << 20) - 1}));
  EXPECT_FALSE(read_with({.unpacked_bytes = (4 << 20) - 1}));
}

TEST_F(Hdf5Test, RefusesWhatIsNoFile) {
  for (const std::string bytes : {"", "\x89HDF", "\x89HDF\r\n\x1a\n", "PK"}) {
    EXPECT_FALSE(Hdf5File::open(bytes, "t.h5", ctx).ok());
  }
  for (const auto& d : engine.all()) EXPECT_EQ(d.kind, Kind::ModelMalformed);
}

}  // namespace
}  // namespace weft::formats::keras
