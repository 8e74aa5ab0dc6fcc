// SPDX-License-Identifier: Apache-2.0
/// @file
/// Model files made in memory for the tests, with the HDF5 library as the independent writer.
#pragma once

#include <hdf5.h>

#include <string>
#include <vector>

#include "weft/formats/keras/keras.h"
#include "weft/support/json.h"

namespace weft::formats::keras {

/// An HDF5 file in memory. Groups of a path are made as needed.
class Hdf5Builder {
 public:
  /// `newest` writes the newest form of every structure that the library knows.
  explicit Hdf5Builder(bool newest = false);
  ~Hdf5Builder();
  Hdf5Builder(const Hdf5Builder&) = delete;
  Hdf5Builder& operator=(const Hdf5Builder&) = delete;

  void group(const std::string& path);
  /// Contiguous float32.
  void floats(const std::string& path, const std::vector<hsize_t>& shape, const std::vector<float>& values);
  /// Any stored type and creation property list; values are converted.
  void dataset(const std::string& path, const std::vector<hsize_t>& shape, const std::vector<float>& values,
               hid_t stored, hid_t properties);
  /// A scalar of variable length, as h5py writes str.
  void text(const std::string& path, const std::string& attribute, const std::string& value);
  /// An array of fixed length, as h5py writes a list of bytes.
  void texts(const std::string& path, const std::string& attribute, const std::vector<std::string>& values);
  /// Variables of a Keras 2 layer below `base`, with `layer_names` kept in step.
  void layer(const std::string& base, const std::string& name, const std::vector<std::string>& variables);

  [[nodiscard]] hid_t id() const { return file_; }
  [[nodiscard]] std::string bytes() const;

 private:
  hid_t open(const std::string& path);
  hid_t file_ = -1;
};

/// 0.5, 0.25, -0.5 ...: different numbers that every float type holds.
std::vector<float> ramp(std::size_t count, float start = 0.0F);

/// The architecture of a Sequential with input `x` of `shape` ("3, 2") and the layer `l`, whose config has `config`
/// besides its name.
std::string one_layer_json(const std::string& class_name, const std::string& config, const std::string& shape,
                           const std::string& version = "2.7.0");

/// A Keras 2 model of four layers (Dense, BatchNormalization, ReLU, Dense with softmax), 3 -> 2 -> 2, as a whole .h5.
std::string small_h5();
/// Its architecture as JSON, and its weights alone.
std::string small_json();
std::string small_weights();
/// A Keras 3 .keras of QDense, QActivation, QDense.
std::string small_keras3(Context& ctx);

}  // namespace weft::formats::keras
