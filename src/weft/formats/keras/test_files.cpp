// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/test_files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "weft/support/archive.h"

namespace weft::formats::keras {

Hdf5Builder::Hdf5Builder(bool newest) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(access, 65536, false);
  if (newest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  // The library refuses two open files of one name, also in memory.
  file_ = H5Fcreate(fmt::format("memory_{}.h5", fmt::ptr(this)).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  EXPECT_GE(file_, 0);
}

Hdf5Builder::~Hdf5Builder() { H5Fclose(file_); }

hid_t Hdf5Builder::open(const std::string& path) {
  hid_t here = H5Gopen2(file_, "/", H5P_DEFAULT);
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    const bool there = H5Lexists(here, part.c_str(), H5P_DEFAULT) > 0;
    const hid_t next = there ? H5Oopen(here, part.c_str(), H5P_DEFAULT)
                             : H5Gcreate2(here, part.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Oclose(here);
    here = next;
  }
  EXPECT_GE(here, 0);
  return here;
}

void Hdf5Builder::group(const std::string& path) { H5Oclose(open(path)); }

void Hdf5Builder::floats(const std::string& path, const std::vector<hsize_t>& shape, const std::vector<float>& values) {
  dataset(path, shape, values, H5T_IEEE_F32LE, H5P_DEFAULT);
}

void Hdf5Builder::dataset(const std::string& path, const std::vector<hsize_t>& shape, const std::vector<float>& values,
                          hid_t stored, hid_t properties) {
  const auto slash = path.rfind('/');
  const hid_t parent = open(slash == std::string::npos ? "" : path.substr(0, slash));
  const hid_t space =
      shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t data =
      H5Dcreate2(parent, path.substr(slash + 1).c_str(), stored, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  EXPECT_GE(data, 0);
  if (!values.empty()) {
    EXPECT_GE(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  }
  H5Dclose(data);
  H5Sclose(space);
  H5Oclose(parent);
}

void Hdf5Builder::text(const std::string& path, const std::string& attribute, const std::string& value) {
  const hid_t object = open(path);
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t id = H5Acreate2(object, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
  const char* data = value.c_str();
  EXPECT_GE(H5Awrite(id, type, &data), 0);
  H5Aclose(id);
  H5Sclose(space);
  H5Tclose(type);
  H5Oclose(object);
}

void Hdf5Builder::texts(const std::string& path, const std::string& attribute, const std::vector<std::string>& values) {
  std::size_t longest = 1;
  for (const auto& value : values) longest = std::max(longest, value.size());
  const hid_t object = open(path);
  // h5py writes an empty list as float64.
  const hid_t type = values.empty() ? H5Tcopy(H5T_IEEE_F64LE) : H5Tcopy(H5T_C_S1);
  if (!values.empty()) {
    H5Tset_size(type, longest);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
  }
  const hsize_t count = values.size();
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t id = H5Acreate2(object, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
  std::string data;
  for (const auto& value : values) data += value + std::string(longest - value.size(), '\0');
  if (!values.empty()) {
    EXPECT_GE(H5Awrite(id, type, data.data()), 0);
  }
  H5Aclose(id);
  H5Sclose(space);
  H5Tclose(type);
  H5Oclose(object);
}

void Hdf5Builder::layer(const std::string& base, const std::string& name, const std::vector<std::string>& variables) {
  std::vector<std::string> paths;
  for (const auto& variable : variables) paths.push_back(name + "/" + variable + ":0");
  texts(base.empty() ? name : base + "/" + name, "weight_names", paths);
}

std::string Hdf5Builder::bytes() const {
  EXPECT_GE(H5Fflush(file_, H5F_SCOPE_GLOBAL), 0);
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  EXPECT_GT(size, 0);
  std::string out(static_cast<std::size_t>(std::max<ssize_t>(size, 0)), '\0');
  H5Fget_file_image(file_, out.data(), out.size());
  return out;
}

std::string one_layer_json(const std::string& class_name, const std::string& config, const std::string& shape,
                           const std::string& version) {
  return fmt::format(R"({{"class_name": "Sequential", "keras_version": "{}", "config": {{"name": "m", "layers": [
      {{"class_name": "InputLayer", "config": {{"batch_input_shape": [null, {}], "name": "x"}}}},
      {{"class_name": "{}", "config": {{"name": "l"{}{}}}}}]}}}})",
                     version, shape, class_name, config.empty() ? "" : ", ", config);
}

std::vector<float> ramp(std::size_t count, float start) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = start + (i % 2 == 0 ? 0.25F : -0.25F) * static_cast<float>(i + 1);
  return out;
}

namespace {

void add_small_weights(Hdf5Builder& file, const std::string& base) {
  const auto at = [&](const std::string& path) { return base.empty() ? path : base + "/" + path; };
  file.texts(base, "layer_names", {"in", "d1", "bn", "act", "d2"});
  file.layer(base, "in", {});
  file.layer(base, "d1", {"kernel", "bias"});
  file.floats(at("d1/d1/kernel:0"), {3, 2}, ramp(6));
  file.floats(at("d1/d1/bias:0"), {2}, ramp(2, 1.0F));
  file.layer(base, "bn", {"gamma", "beta", "moving_mean", "moving_variance"});
  file.floats(at("bn/bn/gamma:0"), {2}, {1.5F, 2.5F});
  file.floats(at("bn/bn/beta:0"), {2}, {0.5F, -0.5F});
  file.floats(at("bn/bn/moving_mean:0"), {2}, {0.125F, 0.25F});
  file.floats(at("bn/bn/moving_variance:0"), {2}, {4.0F, 9.0F});
  file.layer(base, "act", {});
  file.layer(base, "d2", {"kernel"});
  file.floats(at("d2/d2/kernel:0"), {2, 2}, ramp(4, -1.0F));
}

}  // namespace

std::string small_json() {
  return R"({"class_name": "Sequential", "config": {"name": "small", "layers": [
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 3], "dtype": "float32", "sparse": false,
     "ragged": false, "name": "in"}},
    {"class_name": "Dense", "config": {"name": "d1", "trainable": true, "dtype": "float32", "units": 2,
     "activation": "linear", "use_bias": true, "kernel_initializer": {"class_name": "Zeros", "config": {}},
     "kernel_regularizer": null}},
    {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": [1], "momentum": 0.99, "epsilon": 0.001,
     "center": true, "scale": true}},
    {"class_name": "Activation", "config": {"name": "act", "activation": "relu"}},
    {"class_name": "Dense", "config": {"name": "d2", "units": 2, "activation": "softmax", "use_bias": false}}]},
    "keras_version": "2.7.0", "backend": "tensorflow"})";
}

std::string small_h5() {
  Hdf5Builder file;
  file.text("", "model_config", small_json());
  file.text("", "keras_version", "2.7.0");
  add_small_weights(file, "model_weights");
  return file.bytes();
}

std::string small_weights() {
  Hdf5Builder file;
  add_small_weights(file, "");
  return file.bytes();
}

std::string small_keras3(Context& ctx) {
  using support::Json;
  const Json dtype = Json::parse(R"J({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
                                      "registered_name": null})J");
  const Json bits = Json::parse(R"J({"module": "qkeras.quantizers", "class_name": "quantized_bits",
      "config": {"bits": 4, "integer": 1, "symmetric": 0, "alpha": null, "keep_negative": true,
                 "use_stochastic_rounding": false, "qnoise_factor": 1.0, "post_training_scale": null},
      "registered_name": "qkeras>quantized_bits"})J");
  const auto layer = [&](const char* class_name, Json config) {
    config["dtype"] = dtype;
    return Json{{"module", "qkeras.qlayers"},
                {"class_name", class_name},
                {"config", std::move(config)},
                {"registered_name", std::string("qkeras>") + class_name},
                {"build_config", {{"input_shape", {nullptr, 3}}}}};
  };
  const auto dense = [&](const char* name, int units) {
    return layer("QDense", {{"name", name},
                            {"units", units},
                            {"activation", "linear"},
                            {"use_bias", true},
                            {"quantization_config", nullptr},
                            {"kernel_quantizer", bits},
                            {"bias_quantizer", bits},
                            {"kernel_range", nullptr},
                            {"bias_range", nullptr}});
  };
  const Json input = Json::parse(R"J({"module": "keras.layers", "class_name": "InputLayer", "config": {
      "batch_shape": [null, 3], "dtype": "float32", "sparse": false, "ragged": false, "name": "x", "optional": false},
      "registered_name": null})J");
  const Json layers = {input, dense("a", 2),
                       layer("QActivation", {{"name", "r"}, {"activation", "quantized_relu(3,1)"}}), dense("b", 1)};
  const Json config = {{"module", "keras"},
                       {"class_name", "Sequential"},
                       {"config", {{"name", "three"}, {"layers", layers}}},
                       {"registered_name", nullptr}};
  Hdf5Builder weights;
  weights.floats("layers/q_dense/vars/0", {3, 2}, ramp(6));
  weights.floats("layers/q_dense/vars/1", {2}, ramp(2));
  weights.text("layers/q_dense/vars", "name", "a");
  weights.group("layers/q_activation/vars");
  weights.floats("layers/q_dense_1/vars/0", {2, 1}, ramp(2, 3.0F));
  weights.floats("layers/q_dense_1/vars/1", {1}, ramp(1, 3.0F));
  weights.text("layers/q_dense_1/vars", "name", "b");
  auto bytes = support::write_zip({{"config.json", config.dump()},
                                   {"metadata.json", R"({"keras_version": "3.14.1"})"},
                                   {"model.weights.h5", weights.bytes()}},
                                  ctx);
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? *bytes : "";
}

}  // namespace weft::formats::keras
