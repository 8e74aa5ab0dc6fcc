// SPDX-License-Identifier: Apache-2.0
#include "weft/support/files.h"

#include <gtest/gtest.h>

#include <fstream>

namespace weft::support {
namespace {
namespace fs = std::filesystem;

struct FilesTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};
  fs::path root;

  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root = fs::path(testing::TempDir()) / (std::string("weft_files_") + info->name());
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }

  static std::string slurp(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Everything below root, so that leftovers are seen.
  std::vector<std::string> listing() {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!entry.is_directory()) out.push_back(entry.path().lexically_relative(root).string());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(FilesTest, Sha256OfPublishedMessages) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(FilesTest, ReadsRegularFilesOnly) {
  std::ofstream(root / "f") << "abc";
  EXPECT_EQ(read_file(root / "f", ctx).value(), "abc");
  EXPECT_FALSE(read_file(root / "missing", ctx).ok());
  EXPECT_FALSE(read_file(root, ctx).ok());
  EXPECT_FALSE(read_file("/dev/zero", ctx).ok());
  for (const auto& d : engine.all()) EXPECT_EQ(d.kind, Kind::FileUnreadable);
  Context small{.diag = engine, .limits = {.file_bytes = 2}};
  EXPECT_FALSE(read_file(root / "f", small).ok());
  EXPECT_EQ(engine.all().back().kind, Kind::LimitExceeded);
}

TEST_F(FilesTest, WritesFilesWhole) {
  EXPECT_TRUE(write_file(root / "f", "one", ctx).ok());
  EXPECT_TRUE(write_file(root / "f", "two", ctx).ok());
  fs::create_symlink("f", root / "link");
  EXPECT_TRUE(write_file(root / "link", "three", ctx).ok());
  EXPECT_TRUE(fs::is_symlink(root / "link"));
  EXPECT_EQ(slurp(root / "f"), "three");
  fs::create_directory(root / "folder");
  EXPECT_FALSE(write_file(root / "folder", "x", ctx).ok());
  EXPECT_FALSE(write_file(root / "no" / "where", "x", ctx).ok());
  EXPECT_FALSE(write_file("/dev/full", "x", ctx).ok());
  EXPECT_EQ(listing(), (std::vector<std::string>{"f", "link"}));
}

TEST_F(FilesTest, WritesFoldersWhole) {
  const FileSet first = {{"weft.json", "{}"}, {"rtl/top.v", "module"}};
  EXPECT_TRUE(write_directory(root / "deep" / "out/", first, ctx).ok());
  EXPECT_EQ(listing(), (std::vector<std::string>{"deep/out/rtl/top.v", "deep/out/weft.json"}));
  EXPECT_TRUE(write_directory(root / "deep" / "out", {{"weft.json", "[]"}}, ctx).ok());
  EXPECT_EQ(listing(), (std::vector<std::string>{"deep/out/weft.json"}));
  EXPECT_EQ(slurp(root / "deep/out/weft.json"), "[]");
}

TEST_F(FilesTest, KeepsForeignFoldersAndWhatWasThereOnFailure) {
  std::ofstream(root / "precious") << "data";
  EXPECT_FALSE(write_directory(root, {{"weft.json", ""}}, ctx).ok());
  ASSERT_TRUE(write_directory(root / "out", {{"weft.json", "old"}}, ctx).ok());
  // "a" cannot be a file and a folder: the second file fails after the first was written.
  EXPECT_FALSE(write_directory(root / "out", {{"a", ""}, {"a/b", ""}}, ctx).ok());
  for (const auto* name : {"../x", "/x", "a/../../x", "", "a/"}) {
    EXPECT_FALSE(write_directory(root / "out", {{name, ""}}, ctx).ok()) << name;
  }
  EXPECT_FALSE(write_directory(root / "precious", {{"weft.json", ""}}, ctx).ok());
  EXPECT_EQ(listing(), (std::vector<std::string>{"out/weft.json", "precious"}));
  EXPECT_EQ(slurp(root / "out/weft.json"), "old");
}

TEST_F(FilesTest, CancelledFolderIsNotThere) {
  const std::atomic<bool> cancel = true;
  ctx.cancel = &cancel;
  EXPECT_FALSE(write_directory(root / "out", {{"weft.json", ""}}, ctx).ok());
  EXPECT_TRUE(listing().empty());
  EXPECT_EQ(engine.all().back().kind, Kind::Cancelled);
}

}  // namespace
}  // namespace weft::support
