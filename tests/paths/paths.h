// SPDX-License-Identifier: Apache-2.0
// Where a test finds the files of the checkout and the test data.
#pragma once

#include <filesystem>

namespace weft::test {

// The checkout this test was built from.
[[nodiscard]] std::filesystem::path source_dir();

// The CMake variable WEFT_DATA_DIR; the folder may be absent, then a test that needs it skips.
[[nodiscard]] std::filesystem::path data_dir();

}  // namespace weft::test
