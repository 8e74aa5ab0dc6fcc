// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tensorflow/tensorflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "weft/formats/tensorflow/bundle.h"
#include "weft/formats/tensorflow/import.h"
#include "weft/formats/tensorflow/wire.h"
#include "weft/support/files.h"

namespace weft::formats::tensorflow {
namespace {

constexpr const char* kModelFile = "saved_model.pb";
constexpr const char* kIndexFile = "variables/variables.index";
constexpr std::int64_t kMaxShards = 1024;

std::string shard_name(std::int64_t shard, std::int64_t shards) {
  return fmt::format("variables/variables.data-{:05}-of-{:05}", shard, shards);
}

/// Variables of a SavedModel, decoded once.
class Checkpoint final : public Variables {
 public:
  Checkpoint(const Files& files, Bundle bundle, std::map<std::string, std::string> keys, std::string file)
      : files_(files), bundle_(std::move(bundle)), keys_(std::move(keys)), file_(std::move(file)) {}

  Result<ConstantPtr> read(const std::string& name, const Origin& origin, Context& ctx) const override {
    if (const auto it = read_.find(name); it != read_.end()) return it->second;
    // Newer files name variables by their path among the objects, older ones by themselves.
    const auto key = keys_.find(name);
    const auto entry = bundle_.entries.find(key == keys_.end() ? name : key->second);
    if (entry == bundle_.entries.end())
      return ctx.fail(Kind::WeightMissing, origin, fmt::format("variable `{}` is not among the saved ones", name));
    WEFT_TRY(const auto bytes, stored(entry->second, name, ctx));
    auto value = decode_elements(entry->second.type, entry->second.shape, bytes);
    if (!value)
      return ctx.fail(Kind::ModelMalformed, origin,
                      fmt::format("variable `{}` has an element type that is not read, or the wrong size", name));
    auto out = std::make_shared<const TensorValue>(std::move(*value));
    read_[name] = out;
    return ConstantPtr(out);
  }

  Result<std::string_view> stored(const BundleEntry& entry, const std::string& name, Context& ctx) const {
    const auto shard = files_.find(shard_name(entry.shard, bundle_.shards));
    if (shard == files_.end())
      return ctx.fail(Kind::WeightMissing, {.file = file_},
                      fmt::format("the file of variable `{}` is missing in the folder", name));
    return entry_bytes(entry, shard->second, name, file_, ctx);
  }
  [[nodiscard]] const Bundle& bundle() const { return bundle_; }
  void set_keys(std::map<std::string, std::string> keys) { keys_ = std::move(keys); }

 private:
  const Files& files_;
  Bundle bundle_;
  std::map<std::string, std::string> keys_;
  std::string file_;
  mutable std::map<std::string, ConstantPtr> read_;
};

class NoVariables final : public Variables {
 public:
  Result<ConstantPtr> read(const std::string& name, const Origin& origin, Context& ctx) const override {
    return ctx.fail(
        Kind::WeightMissing, origin,
        fmt::format("variable `{}` has no value in this file; give the SavedModel folder or freeze the graph", name));
  }
};

}  // namespace

bool is_saved_model(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) && std::filesystem::exists(path / kModelFile);
}

bool looks_like_graph(std::string_view bytes) {
  // The first field is a node, whose first fields are its name and operator.
  Fields fields(bytes);
  const auto first = fields.next();
  if (!first || first->number != 1 || !first->is_bytes) return false;
  Fields node(first->bytes);
  const auto name = node.next();
  const auto op = node.next();
  const auto is_name = [](const std::optional<Field>& f, std::uint64_t number) {
    return f && f->number == number && f->is_bytes && !f->bytes.empty() &&
           std::all_of(f->bytes.begin(), f->bytes.end(), [](unsigned char c) { return c > 32 && c < 127; });
  };
  return is_name(name, 1) && is_name(op, 2);
}

bool looks_like_saved_model(std::string_view bytes) {
  Fields fields(bytes);
  const auto version = fields.next();
  const auto graph = fields.next();
  if (!version || version->number != 1 || version->is_bytes || !graph || graph->number != 2 || !graph->is_bytes)
    return false;
  // Its first field is information about the graph or the graph itself.
  Fields inner(graph->bytes);
  const auto first = inner.next();
  return first && first->is_bytes && (first->number == 1 || first->number == 2);
}

Result<nn::Graph> read_saved_model_files(const Files& files, const std::string& name, Context& ctx) {
  const auto model_file = files.find(kModelFile);
  if (model_file == files.end())
    return ctx.fail(Kind::ModelMalformed, {.file = name}, "the folder holds no saved_model.pb");
  WEFT_TRY(const SavedModel model, read_saved_model_message(model_file->second, name, ctx));
  const auto signature = model.signatures.find("serving_default");
  if (signature == model.signatures.end()) {
    std::string names;
    for (const auto& [key, value] : model.signatures) names += (names.empty() ? "`" : ", `") + key + "`";
    return ctx.fail(Kind::LayerUnsupported, {.file = name},
                    fmt::format("the model has no signature `serving_default`{}{}; save it with one",
                                names.empty() ? "" : "; it has ", names));
  }
  const auto index = files.find(kIndexFile);
  if (index == files.end()) return import_graph(model.graph, signature->second, NoVariables(), name, ctx);
  WEFT_TRY(Bundle bundle, read_bundle(index->second, name, ctx));
  Checkpoint checkpoint(files, std::move(bundle), {}, name);
  if (const auto objects = checkpoint.bundle().entries.find("_CHECKPOINTABLE_OBJECT_GRAPH");
      objects != checkpoint.bundle().entries.end()) {
    WEFT_TRY(const auto bytes, checkpoint.stored(objects->second, objects->first, ctx));
    checkpoint.set_keys(checkpoint_keys(single_string(bytes)));
  }
  return import_graph(model.graph, signature->second, checkpoint, name, ctx);
}

Result<nn::Graph> read_saved_model(const std::filesystem::path& folder, Context& ctx) {
  Files files;
  WEFT_TRY(files[kModelFile], support::read_file(folder / kModelFile, ctx));
  const std::string name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  if (std::filesystem::exists(folder / kIndexFile)) {
    WEFT_TRY(files[kIndexFile], support::read_file(folder / kIndexFile, ctx));
    WEFT_TRY(const Bundle bundle, read_bundle(files[kIndexFile], name, ctx));
    if (bundle.shards < 1 || bundle.shards > kMaxShards)
      return ctx.fail(Kind::ModelMalformed, {.file = name}, "the variables lie in an impossible number of files");
    for (std::int64_t i = 0; i < bundle.shards; ++i) {
      const std::string shard = shard_name(i, bundle.shards);
      if (!std::filesystem::exists(folder / shard)) continue;
      WEFT_TRY(files[shard], support::read_file(folder / shard, ctx));
    }
  }
  return read_saved_model_files(files, name, ctx);
}

Result<nn::Graph> read_graph_bytes(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(const GraphDef graph, read_graph(bytes, name, ctx));
  Signature signature;
  std::set<std::string> used;
  for (const auto& node : graph.nodes)
    for (const auto& input : node.inputs) used.insert(input.substr(input.starts_with("^") ? 1 : 0, input.find(':')));
  for (const auto& node : graph.nodes) {
    if (node.op == "Placeholder") signature.inputs[node.name] = node.name + ":0";
    const bool result = used.count(node.name) == 0 && node.op != "Placeholder" && node.op != "NoOp" &&
                        node.op != "Const" && node.op != "Assert";
    if (result) signature.outputs[node.name] = node.name + ":0";
  }
  if (signature.inputs.empty() || signature.outputs.empty())
    return ctx.fail(Kind::ModelMalformed, {.file = name}, "the graph has no placeholder or no result");
  return import_graph(graph, signature, NoVariables(), name, ctx);
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> out;
  for (const auto& [name, row] : operators()) out.push_back(name);
  for (const auto* own :
       {"Const", "PartitionedCall", "Placeholder", "ReadVariableOp", "StatefulPartitionedCall", "VarHandleOp"})
    out.emplace_back(own);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace weft::formats::tensorflow
