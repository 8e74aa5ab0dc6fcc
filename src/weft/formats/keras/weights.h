// SPDX-License-Identifier: Apache-2.0
/// @file
/// Finds the weights of each layer in the two layouts that Keras writes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/hdf5_reader.h"
#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/topology.h"

namespace weft::formats::keras {

/// Rows of a pruning wrapper's own variables.
inline constexpr std::string_view kPruningVariables[] = {"mask", "threshold", "pruning_step"};

/// One variable of a layer, in the order in which Keras creates them.
struct WeightRow {
  std::string_view name;
  /// Whether the layer has it; nullptr means always.
  bool (*present)(ConfigReader&) = nullptr;
  /// Name of the layer inside of this layer that owns it (Keras 3); "" for its own.
  std::string_view owner = "";
  /// Known and without meaning at inference.
  bool ignored = false;
  /// Another name of the variable in Keras 2's layout; "" for none.
  std::string_view alias = "";
};

/// Weights in a Keras 2 file (model_weights/<layer>/<variable>:0, also at the root) or in a Keras 3 file
/// (layers/<class>_<n>/vars/<i>).
class WeightFile {
 public:
  static Result<WeightFile> open(NamedBytes file, Context& ctx);
  /// The text of an attribute of the root, such as "model_config"; nullopt when there is none.
  Result<std::optional<std::string>> root_text(std::string_view attribute, Context& ctx);

  /// Assigns groups of the file to layers; `weighted[i]` tells whether layer i has variables.
  Result<void> bind(const Topology& topology, const std::vector<bool>& weighted, Context& ctx);
  /// The datasets of layer `index` by variable name; `rows` are those that the layer has. Variables that no row knows
  /// are reported: they would change the result.
  Result<std::map<std::string, Hdf5File::Object>> variables(std::size_t index, const LayerEntry& layer,
                                                            const std::vector<WeightRow>& rows, Context& ctx);
  /// All datasets of layer `index`. Keras 3: by their path below the layer ("vars/0", "kq/quantizer/vars/1"). Keras 2's
  /// layout: by name, with the quantizer of HGQ that owns them ("kernel", "kq/b"; "iq0/f" in layers of several inputs).
  Result<std::map<std::string, Hdf5File::Object>> all_variables(std::size_t index, const LayerEntry& layer,
                                                                Context& ctx);
  Hdf5File& hdf5() { return file_; }

 private:
  explicit WeightFile(Hdf5File file) : file_(std::move(file)) {}
  Result<std::vector<std::string>> text_list(Hdf5File::Object object, const std::string& attribute, Context& ctx);
  Result<void> bind_named(const Topology& topology, const std::vector<bool>& weighted, Context& ctx);
  Result<void> bind_counted(const Topology& topology, std::size_t scope, Hdf5File::Object layers, Context& ctx);
  Result<void> bind_inner(const Topology& topology, std::size_t scope, Hdf5File::Object group, Context& ctx);
  /// `weight_names` of the group that are of layer `index`.
  Result<std::vector<std::string>> names_of(std::size_t index, Hdf5File::Object group, const LayerEntry& layer,
                                            Context& ctx);
  Result<std::map<std::string, Hdf5File::Object>> named_variables(std::size_t index, Hdf5File::Object group,
                                                                  const LayerEntry& layer,
                                                                  const std::vector<WeightRow>& rows, Context& ctx);
  Result<std::map<std::string, Hdf5File::Object>> counted_variables(Hdf5File::Object group, const LayerEntry& layer,
                                                                    const std::vector<WeightRow>& rows, Context& ctx);
  Result<void> collect(Hdf5File::Object object, const std::string& path, int depth,
                       std::map<std::string, Hdf5File::Object>& out, Context& ctx);
  Result<bool> holds_data(Hdf5File::Object object, int depth, Context& ctx);

  Hdf5File file_;
  bool counted_ = false;     ///< Keras 3's layout
  Hdf5File::Object layers_;  ///< the group with one child per layer
  std::map<std::size_t, Hdf5File::Object> groups_;
  std::set<std::size_t> inner_;  ///< layers of nested models, whose group has the weights of the others too
};

/// "QDenseBatchnorm" -> "q_dense_batchnorm", as Keras 3 names groups.
std::string snake_case(std::string_view class_name);

}  // namespace weft::formats::keras
