# SPDX-License-Identifier: Apache-2.0
# Headers of others that most sources read, precompiled: half of the time of a build. Once for modules (position independent), once
# for tests. A source must include what it uses all the same: preset `dev` builds without.

option(WEFT_PRECOMPILE "Precompile the headers of the standard library, fmt and Boost" OFF)
if(NOT WEFT_PRECOMPILE)
  return()
endif()

# Sources with options of their own (an instruction set, -ffp-contract) read the headers as text.
set(CMAKE_PCH_WARN_INVALID OFF)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "")

function(weft_precompiled target)
  add_library(${target} OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_link_libraries(${target} PRIVATE fmt::fmt Boost::boost)
  target_precompile_headers(
    ${target} PRIVATE <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <limits> <map> <memory> <numeric> <optional>
    <set> <string> <string_view> <variant> <vector> <boost/multiprecision/cpp_int.hpp> <fmt/format.h> ${ARGN})
endfunction()

weft_precompiled(weft_precompiled)
set_target_properties(weft_precompiled PROPERTIES POSITION_INDEPENDENT_CODE ON)
if(WEFT_DEVELOPER_MODE)
  weft_precompiled(weft_precompiled_test <gmock/gmock.h> <gtest/gtest.h>)
endif()
