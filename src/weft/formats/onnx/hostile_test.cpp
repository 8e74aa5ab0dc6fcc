// SPDX-License-Identifier: Apache-2.0
// Damaged, contradictory and oversized files: a diagnostic, never a crash, a hang or a large allocation.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "weft/formats/onnx/test_model.h"
#include "weft/formats/onnx/wire.h"

namespace weft::formats::onnx {
namespace {

/// Some of everything: initializers, attributes, quantizers, folding.
TestModel rich_model() {
  TestModel m(12);
  m.input("x", {1, 1, 2, 2}).output("y");
  m.floats("w", {2, 4}, {1, -1, 0.5F, 0.25F, 1, 1, -1, -1});
  m.floats("s", {2, 1}, {0.5F, 0.25F});
  m.floats("zero", {}, {0});
  m.floats("bits", {}, {3});
  m.floats("c", {2}, {1, 2});
  m.ints("i", {}, {0});
  m.ints("rest", {1}, {-1});
  m.node("Shape", {"x"}, {"sh"});
  m.node("Gather", {"sh", "i"}, {"n"});
  m.node("Unsqueeze", {"n"}, {"n1"}).attribute("axes", std::vector<std::int64_t>{0});
  m.node("Concat", {"n1", "rest"}, {"t"}).attribute("axis", std::int64_t{0});
  m.node("Reshape", {"x", "t"}, {"f"});
  m.node("Quant", {"w", "s", "zero", "bits"}, {"q"})
      .domain("onnx.brevitas")
      .attribute("signed", std::int64_t{1})
      .attribute("narrow", std::int64_t{1})
      .attribute("rounding_mode", "ROUND");
  m.node("Gemm", {"f", "q", "c"}, {"g"}).attribute("transB", std::int64_t{1}).attribute("alpha", 1.0F);
  m.node("BatchNormalization", {"g", "c", "c", "c", "c"}, {"b"}).attribute("epsilon", 1e-3F);
  m.node("Relu", {"b"}, {"r"});
  m.node("Softmax", {"r"}, {"y"}).attribute("axis", std::int64_t{1});
  return m;
}

TEST(Hostile, RichModelIsReadAtAll) {
  EXPECT_EQ(read_model(rich_model()).ops(), "Reshape Dense BatchNorm Activation Softmax");
}

TEST(Hostile, EveryTruncation) {
  const std::string bytes = rich_model().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A cut between two top-level fields leaves a well-formed message; what it lacks must be noticed.
    EXPECT_FALSE(read_bytes(bytes.substr(0, size)).graph) << size;
  }
}

TEST(Hostile, EveryFlippedBit) {
  const std::string bytes = rich_model().bytes();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
      refused += read_bytes(damaged).graph ? 0U : 1U;
      (void)looks_like_onnx(damaged);
    }
  }
  EXPECT_GT(refused, bytes.size());
}

TEST(Hostile, DamagedRealFiles) {
  for (const auto* file : {"qonnx_zoo/qkeras_jettagging.onnx", "example_models/onnx/three_layer_bn_pytorch.onnx"}) {
    const auto path = data_dir() / "models" / file;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::uint64_t state = 1;
    for (int round = 0; round < 400; ++round) {
      std::string damaged = bytes;
      for (int n = 0; n < 1 + round % 4; ++n) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        damaged[(state >> 20) % damaged.size()] = static_cast<char>(state >> 56);
      }
      (void)read_bytes(damaged);
      (void)read_bytes(bytes.substr(0, (state >> 16) % bytes.size()));
    }
  }
}

TEST(Hostile, RecognitionByContent) {
  const std::string bytes = rich_model().bytes();
  EXPECT_TRUE(looks_like_onnx(bytes));
  EXPECT_TRUE(looks_like_onnx(bytes.substr(0, bytes.size() / 2)));
  EXPECT_FALSE(looks_like_onnx(""));
  EXPECT_FALSE(looks_like_onnx("{\"class_name\": \"Sequential\"}"));
  EXPECT_FALSE(looks_like_onnx(std::string("\x89HDF\r\n\x1a\n\0\0\0\0", 12)));
  EXPECT_FALSE(looks_like_onnx("PK\x03\x04 and so on"));
  EXPECT_FALSE(looks_like_onnx(std::string("\x1c\0\0\0TFL3", 8)));
  EXPECT_FALSE(looks_like_onnx("x,y\n1,2\n"));
  EXPECT_FALSE(looks_like_onnx("\x08\x07"));
  for (const auto* file :
       {"qonnx_zoo/TFC_1W1A.onnx", "example_models/onnx/dense_big_keras.onnx", "trees/sklearn_hastie_bdt.onnx"}) {
    const auto path = data_dir() / "models" / file;
    if (!std::filesystem::exists(path)) continue;
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(looks_like_onnx({std::istreambuf_iterator<char>(in), {}})) << file;
  }
}

/// x -> Add(x, w) -> y where the initializer w was tampered with.
Read with_initializer(const std::function<void(onnx_proto::TensorProto&)>& tamper) {
  TestModel m;
  m.input("x", {1, 2}).output("y");
  auto* tensor = m.floats("w", {2}, {1, 2});
  tamper(*tensor);
  m.node("Add", {"x", "w"}, {"y"});
  return read_model(m);
}

TEST(Hostile, Tensors) {
  const auto kind = [](const std::function<void(onnx_proto::TensorProto&)>& tamper) {
    const Read read = with_initializer(tamper);
    EXPECT_FALSE(read.graph);
    return read.diagnostics.empty() ? Kind::Info : read.diagnostics.front().kind;
  };
  EXPECT_EQ(kind([](auto& t) { t.mutable_raw_data()->pop_back(); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.mutable_raw_data()->push_back('x'); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.clear_raw_data(); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.add_float_data(1); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_dims(0, -2); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_dims(0, std::int64_t{1} << 62); }), Kind::LimitExceeded);
  EXPECT_EQ(kind([](auto& t) {
              t.add_dims(std::int64_t{1} << 62);
              t.add_dims(std::int64_t{1} << 62);
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](auto& t) {
              t.add_dims(0);
              t.set_dims(0, std::int64_t{1} << 62);
              t.add_dims(std::int64_t{1} << 62);
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](auto& t) {
              for (int i = 0; i < 100; ++i) t.add_dims(1);
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_data_type(8); }), Kind::AttributeUnsupported);
  EXPECT_EQ(kind([](auto& t) { t.set_data_type(0); }), Kind::AttributeUnsupported);
  EXPECT_EQ(kind([](auto& t) { t.set_data_type(12345); }), Kind::AttributeUnsupported);
  EXPECT_EQ(kind([](auto& t) { t.set_segment("s"); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_name(""); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_name("\xff"); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](auto& t) { t.set_name("v"); }), Kind::ModelMalformed);  // w is missing then
  EXPECT_EQ(kind([](auto& t) { t.set_data_location(1); }), Kind::ModelMalformed);
}

TEST(Hostile, ElementTypesAreConverted) {
  const auto values = [](const std::function<void(onnx_proto::TensorProto&)>& fill) {
    const Read read = with_initializer([&](auto& t) {
      t.clear_raw_data();
      fill(t);
    });
    EXPECT_TRUE(read.graph) << read.text();
    return read.graph ? read.node(0).parameters.at("constant").values.data : std::vector<float>{};
  };
  EXPECT_EQ(values([](auto& t) {
              t.add_float_data(1);
              t.add_float_data(-2);
            }),
            (std::vector<float>{1, -2}));
  EXPECT_EQ(values([](auto& t) {
              t.set_data_type(11);
              t.add_double_data(0.1);
              t.add_double_data(3);
            }),
            (std::vector<float>{0.1F, 3}));
  // float16: 1.5, smallest subnormal; bfloat16: 1.5, -2.
  EXPECT_EQ(values([](auto& t) {
              t.set_data_type(10);
              t.add_int32_data(0x3e00);
              t.add_int32_data(1);
            }),
            (std::vector<float>{1.5F, 0x1p-24F}));
  EXPECT_EQ(values([](auto& t) {
              t.set_data_type(16);
              t.add_int32_data(0x3fc0);
              t.add_int32_data(0xc000);
            }),
            (std::vector<float>{1.5F, -2}));
}

TEST(Hostile, ExternalData) {
  const auto folder = std::filesystem::temp_directory_path() / "weft_onnx_external_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "inside");
  const auto write = [](const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  };
  std::string numbers(12, '\0');
  const std::vector<float> w{7, 1, 2};
  std::memcpy(numbers.data(), w.data(), 12);
  write(folder / "secret.bin", numbers);
  write(folder / "inside" / "w.bin", numbers);
  std::filesystem::create_symlink(folder / "secret.bin", folder / "inside" / "link.bin");
  const auto read = [&](const std::vector<std::pair<std::string, std::string>>& pairs) {
    TestModel m;
    m.input("x", {1, 2}).output("y");
    auto* tensor = m.floats("w", {2}, {});
    tensor->clear_raw_data();
    tensor->set_data_location(1);
    for (const auto& [key, value] : pairs) {
      auto* pair = tensor->add_external_data();
      pair->set_key(key);
      pair->set_value(value);
    }
    m.node("Add", {"x", "w"}, {"y"});
    write(folder / "inside" / "m.onnx", m.bytes());
    return read_file(folder / "inside" / "m.onnx");
  };
  const Read good = read({{"location", "w.bin"}, {"offset", "4"}, {"length", "8"}});
  ASSERT_TRUE(good.graph) << good.text();
  EXPECT_EQ(good.node(0).parameters.at("constant").values.data, (std::vector<float>{1, 2}));
  for (const std::string bad : {"../secret.bin", "a/../../secret.bin", "link.bin", "", ".."}) {
    EXPECT_TRUE(read({{"location", bad}, {"offset", "4"}, {"length", "8"}}).has(Kind::ModelMalformed)) << bad;
  }
  EXPECT_TRUE(read({{"location", (folder / "secret.bin").string()}}).has(Kind::ModelMalformed));
  EXPECT_TRUE(read({{"location", "absent.bin"}}).has(Kind::FileUnreadable));
  EXPECT_TRUE(read({{"location", "w.bin"}, {"offset", "8"}, {"length", "8"}}).has(Kind::ModelMalformed));
  EXPECT_TRUE(read({{"location", "w.bin"}, {"offset", "18446744073709551615"}}).has(Kind::ModelMalformed));
  EXPECT_TRUE(read({{"location", "w.bin"}, {"offset", "-1"}}).has(Kind::ModelMalformed));
  EXPECT_TRUE(read({{"location", "w.bin"}}).has(Kind::ModelMalformed));  // 12 bytes for 8
  std::filesystem::remove_all(folder);
}

TEST(Hostile, Graphs) {
  const auto kind = [](const std::function<void(TestModel&)>& build) {
    TestModel m;
    build(m);
    const Read read = read_model(m);
    EXPECT_FALSE(read.graph);
    return read.diagnostics.empty() ? Kind::Info : read.diagnostics.front().kind;
  };
  const auto base = [](TestModel& m) { m.input("x", {1, 2}).output("y"); };
  // A cycle.
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Add", {"x", "b"}, {"a"});
              m.node("Relu", {"a"}, {"b"});
              m.node("Relu", {"b"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Add", {"x", "y"}, {"y"});
            }),
            Kind::ModelMalformed);
  // Missing, doubled and useless tensors.
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Add", {"x", "nothing"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Relu", {"x"}, {"z"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Relu", {"x"}, {"y"});
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Relu", {"x"}, {"x"});
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.floats("y", {1}, {1});
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.floats("w", {1}, {1});
              m.floats("w", {1}, {1});
              m.node("Add", {"x", "w"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.input("x", {1, 2});
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              m.input("x", {1, 2});
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Relu", {}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Relu", {"x", "x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Add", {"", "x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Rel\xff", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.output("y");
              m.node("Relu", {"x"}, {"y"});
            }),
            Kind::ModelMalformed);
  // Attributes of the wrong type, twice, or referring to a function.
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Flatten", {"x"}, {"y"}).attribute("axis", "one");
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Flatten", {"x"}, {"y"}).attribute("axis", std::int64_t{1}).attribute("axis", std::int64_t{1});
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Flatten", {"x"}, {"y"})
                  .attribute("axis", std::int64_t{1})
                  .proto()
                  ->mutable_attribute(0)
                  ->set_ref_attr_name("a");
            }),
            Kind::ModelMalformed);
  EXPECT_EQ(kind([&](TestModel& m) {
              base(m);
              m.node("Flatten", {"x"}, {"y"}).attribute("axis", std::int64_t{1} << 62);
            }),
            Kind::ShapeMismatch);
}

TEST(Hostile, Ports) {
  const auto kind = [](const std::vector<std::int64_t>& shape, const std::function<void(TestModel&)>& tamper = {}) {
    TestModel m;
    m.input("x", shape).output("y");
    m.node("Relu", {"x"}, {"y"});
    if (tamper) tamper(m);
    const Read read = read_model(m);
    EXPECT_FALSE(read.graph);
    return read.diagnostics.empty() ? Kind::Info : read.diagnostics.front().kind;
  };
  EXPECT_EQ(kind({1, -1}), Kind::ShapeMismatch);
  EXPECT_EQ(kind({1, 0}), Kind::ShapeMismatch);
  EXPECT_EQ(kind({1, std::int64_t{1} << 62, 4}), Kind::LimitExceeded);
  EXPECT_EQ(kind(std::vector<std::int64_t>(100, 1)), Kind::LimitExceeded);
  EXPECT_EQ(kind({1, 2}, [](TestModel& m) { m.model.mutable_graph()->mutable_input(0)->clear_type(); }),
            Kind::AttributeUnsupported);
  EXPECT_EQ(kind({1, 2},
                 [](TestModel& m) {
                   m.model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
                 }),
            Kind::ShapeMismatch);
}

TEST(Hostile, Versions) {
  const auto kind = [](const std::function<void(TestModel&)>& tamper) {
    TestModel m;
    m.input("x", {1, 2}).output("y");
    m.node("Relu", {"x"}, {"y"});
    tamper(m);
    const Read read = read_model(m);
    return read.graph ? Kind::Info : read.diagnostics.at(0).kind;
  };
  for (const std::int64_t ir : {3, 4, 5, 6, 7, 8, 9, 10})
    EXPECT_EQ(kind([&](TestModel& m) { m.model.set_ir_version(ir); }), Kind::Info) << ir;
  for (const std::int64_t ir : {0, 2, 14, 1000000})
    EXPECT_EQ(kind([&](TestModel& m) { m.model.set_ir_version(ir); }), Kind::AttributeUnsupported) << ir;
  for (std::int64_t opset = 6; opset <= 28; ++opset) {
    EXPECT_EQ(kind([&](TestModel& m) { m.model.mutable_opset_import(0)->set_version(opset); }), Kind::Info) << opset;
  }
  for (const std::int64_t opset : {-1, 0, 5, 29, 1000000}) {
    EXPECT_EQ(kind([&](TestModel& m) { m.model.mutable_opset_import(0)->set_version(opset); }), Kind::LayerUnsupported)
        << opset;
  }
  EXPECT_EQ(kind([](TestModel& m) { m.model.clear_opset_import(); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](TestModel& m) { m.model.add_opset_import()->set_version(13); }), Kind::ModelMalformed);
  EXPECT_EQ(kind([](TestModel& m) { m.model.clear_graph(); }), Kind::ModelMalformed);
}

TEST(Hostile, FilesThatGrow) {
  // A few bytes ask for huge constants, for huge products, and for many copies of one weight.
  const auto kind = [](const std::function<void(TestModel&)>& build) {
    TestModel m;
    m.input("x", {1, 2}).output("y");
    build(m);
    const Read read = read_model(m);
    EXPECT_FALSE(read.graph);
    return read.diagnostics.empty() ? Kind::Info : read.diagnostics.front().kind;
  };
  EXPECT_EQ(kind([](TestModel& m) {
              m.ints("s", {2}, {std::int64_t{1} << 40, std::int64_t{1} << 40});
              m.node("ConstantOfShape", {"s"}, {"c"});
              m.node("Add", {"x", "c"}, {"y"});
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](TestModel& m) {
              m.ints("s", {2}, {4096, 4096});
              m.node("ConstantOfShape", {"s"}, {"a"});
              m.node("MatMul", {"a", "a"}, {"c"});
              m.node("Add", {"x", "c"}, {"y"});
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](TestModel& m) {
              m.ints("s", {1}, {std::int64_t{1} << 60});
              m.floats("w", {1}, {1});
              m.node("Expand", {"w", "s"}, {"c"});
              m.node("Add", {"x", "c"}, {"y"});
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](TestModel& m) {
              m.ints("s", {1}, {1 << 22});
              m.node("ConstantOfShape", {"s"}, {"c0"});
              for (int i = 0; i < 200; ++i) m.node("Abs", {fmt::format("c{}", i)}, {fmt::format("c{}", i + 1)});
              m.node("Add", {"x", "c200"}, {"y"});
            }),
            Kind::LimitExceeded);
  EXPECT_EQ(kind([](TestModel& m) {
              for (int i = 0; i < 20; ++i) {
                m.node("Unsqueeze", {i == 0 ? "x" : fmt::format("u{}", i)}, {fmt::format("u{}", i + 1)})
                    .proto()
                    ->add_input("axes");
              }
              m.ints("axes", {8}, {1, 2, 3, 4, 5, 6, 7, 8});
              m.node("Relu", {"u20"}, {"y"});
            }),
            Kind::LimitExceeded);
}

TEST(Hostile, ManyNodes) {
  // Two bytes per node in the file; refused before protobuf makes an object of each.
  std::string nodes;
  nodes.reserve(2'200'000);
  for (int i = 0; i < 1'100'000; ++i) nodes += std::string("\x0a\x00", 2);
  const auto wrap = [](const std::string& graph) {
    std::string out("\x08\x08\x3a", 3);
    std::uint64_t size = graph.size();
    for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>((size & 0x7f) | 0x80));
    out.push_back(static_cast<char>(size));
    return out + graph;
  };
  EXPECT_TRUE(read_bytes(wrap(nodes)).has(Kind::LimitExceeded));
  // The same number of names, and of empty attributes of one node.
  const auto counts = count_objects(wrap(nodes), 100);
  EXPECT_LE(counts.objects, 101U);
  // A long chain in reverse order is sorted and read.
  TestModel m;
  m.input("x", {1, 2}).output("n20000");
  for (int i = 20000; i > 0; --i)
    m.node("Relu", {i == 1 ? "x" : fmt::format("n{}", i - 1)}, {fmt::format("n{}", i)}).named("same");
  const Read read = read_model(m);
  ASSERT_TRUE(read.graph) << read.text();
  EXPECT_EQ(read.graph->nodes.size(), 20000U);
  EXPECT_EQ(read.graph->at(read.graph->outputs[0].tensor).name, "n20000");
}

TEST(Hostile, DeepNesting) {
  // Groups within groups, and graphs within attributes within nodes: neither recurses here.
  EXPECT_FALSE(read_bytes(std::string(1'000'000, '\x0b')).graph);
  std::string inner;
  const auto field = [](char tag, const std::string& content) {
    std::string out(1, tag);
    std::uint64_t size = content.size();
    for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>((size & 0x7f) | 0x80));
    out.push_back(static_cast<char>(size));
    return out + content;
  };
  for (int depth = 0; depth < 3000; ++depth)
    inner = field(0x0a, field(0x2a, field(0x32, inner)));  // node, attribute, graph
  EXPECT_FALSE(read_bytes(std::string("\x08\x08", 2) + field(0x3a, inner)).graph);
}

TEST(Hostile, UnusedNodesAreNotRun) {
  TestModel m;
  m.input("x", {1, 2}).output("y");
  m.node("Relu", {"x"}, {"y"});
  m.node("Mystery", {"x"}, {"z"});
  const Read read = read_model(m);
  EXPECT_EQ(read.ops(), "Activation");
  EXPECT_TRUE(read.has(Kind::Info));
}

TEST(Hostile, ManyErrorsAreReportedAndBounded) {
  TestModel m;
  m.input("x", {1, 2});
  m.floats("bad", {3}, {1, 2, 3});
  for (int i = 0; i < 500; ++i) {
    m.output(fmt::format("y{}", i));
    m.node("Add", {"x", "bad"}, {fmt::format("y{}", i)});
  }
  const Read read = read_model(m);
  EXPECT_FALSE(read.graph);
  EXPECT_EQ(read.diagnostics.size(), 50U);
}

TEST(Hostile, SameBytesGiveTheSameGraph) {
  const std::string bytes = rich_model().bytes();
  diag::Engine engine;
  Context ctx{.diag = engine};
  const Read a = read_bytes(bytes);
  const Read b = read_bytes(bytes);
  const auto first = nn::save(*a.graph, {}, ctx);
  const auto second = nn::save(*b.graph, {}, ctx);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

}  // namespace
}  // namespace weft::formats::onnx
