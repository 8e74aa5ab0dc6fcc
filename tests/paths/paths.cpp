// SPDX-License-Identifier: Apache-2.0
#include "tests/paths/paths.h"

namespace weft::test {

std::filesystem::path source_dir() { return WEFT_SOURCE_DIR; }

std::filesystem::path data_dir() { return WEFT_DATA_DIR; }

}  // namespace weft::test
