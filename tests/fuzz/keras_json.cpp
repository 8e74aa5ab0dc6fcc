// SPDX-License-Identifier: Apache-2.0
#include "keras_run.h"

namespace weft::fuzz {

static bool run(const std::string& input) { return run_keras(input, "fuzz.json", WEFT_SPLIT_WEIGHTS); }

const Target kTarget{
    "keras_json",
    run,
    {"\"class_name\": \"QDense\"", "\"class_name\": \"Dense\"", "\"units\": ", "\"alpha\": \"auto\"",
     "\"bits\": ", "\"inbound_nodes\": ", "\"quantized_relu(4,2)\"", "\"batch_input_shape\": [null, 4]", "null", "[]",
     "{}", "-1", "1e99", "\"\"", "quantized_bits(", ")", ","}};

}  // namespace weft::fuzz
