// SPDX-License-Identifier: Apache-2.0
#include "keras_run.h"

namespace weft::fuzz {

static bool run(const std::string& input) { return run_keras(input, "fuzz.h5", nullptr); }

const Target kTarget{"keras_h5",
                     run,
                     {"OHDR", "TREE", "SNOD", "HEAP", "GCOL", "OCHK", "FRHP", "BTHD", "layer_names", "weight_names",
                      "model_config", "kernel:0", "\xff\xff\xff\xff\xff\xff\xff\xff"}};

}  // namespace weft::fuzz
