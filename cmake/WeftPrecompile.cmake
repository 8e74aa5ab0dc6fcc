# SPDX-License-Identifier: Apache-2.0
# Headers of others that most sources read, precompiled: half of the time of a build. A source must include what it uses all the
# same: preset `dev` builds without.
#
#   weft_reuse_precompiled(<target> modules|tests|tools)
#
# The three kinds differ in what gcc compares before it takes a precompiled header: definitions, optimization, position independence.

option(WEFT_PRECOMPILE "Precompile the headers of the standard library, fmt, Boost, GoogleTest and CLI11" OFF)

# A test's own code runs once; its compilation is what takes the time.
set(WEFT_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)

function(weft_reuse_precompiled target kind)
  if(TARGET weft_precompiled_${kind})
    target_precompile_headers(${target} REUSE_FROM weft_precompiled_${kind})
    if(NOT kind STREQUAL modules)
      # gcc 12 follows the copies inside of std::string once its header is precompiled, and warns of them.
      target_compile_options(
        ${target} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized)
    endif()
  endif()
endfunction()

if(NOT WEFT_PRECOMPILE)
  return()
endif()

# Sources with options of their own (an instruction set, -ffp-contract) read the headers as text.
set(CMAKE_PCH_WARN_INVALID OFF)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "")

# weft_precompiled(<kind> [LIBS <target> ...] [HEADERS <header> ...])
function(weft_precompiled kind)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS;HEADERS")
  set(target weft_precompiled_${kind})
  add_library(${target} OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_link_libraries(${target} PRIVATE fmt::fmt Boost::boost ${arg_LIBS})
  target_precompile_headers(
    ${target} PRIVATE <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <limits> <map> <memory> <numeric> <optional>
    <set> <string> <string_view> <variant> <vector> <boost/multiprecision/cpp_int.hpp> <fmt/format.h> ${arg_HEADERS})
endfunction()

weft_precompiled(modules)
set_target_properties(weft_precompiled_modules PROPERTIES POSITION_INDEPENDENT_CODE ON)
weft_precompiled(tools LIBS CLI11::CLI11 nlohmann_json::nlohmann_json HEADERS <CLI/CLI.hpp> <nlohmann/json.hpp>)
if(WEFT_DEVELOPER_MODE)
  weft_precompiled(tests LIBS GTest::gtest GTest::gmock HEADERS <gmock/gmock.h> <gtest/gtest.h>)
  target_compile_options(weft_precompiled_tests PRIVATE ${WEFT_TEST_OPTIONS})
endif()
