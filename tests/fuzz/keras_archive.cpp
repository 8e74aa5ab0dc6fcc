// SPDX-License-Identifier: Apache-2.0
#include "keras_run.h"

namespace weft::fuzz {

static bool run(const std::string& input) { return run_keras(input, "fuzz.keras", nullptr); }

const Target kTarget{"keras_archive",
                     run,
                     {"\"class_name\": \"QDense\"", "\"registered_name\": ", "\"keras_history\": ", "\"module\": ",
                      "\"inbound_nodes\": ", "null", "[]", "{}", "-1", "1e99", "OHDR", "TREE", "SNOD", "vars"},
                     mutate_archive};

}  // namespace weft::fuzz
