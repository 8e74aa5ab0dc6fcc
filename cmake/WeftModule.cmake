# SPDX-License-Identifier: Apache-2.0
# The only helper of this build: one folder = one target = one namespace.
#
#   weft_module(<name> FLOOR <n> SOURCES ... HEADERS ... [DEPS <module> ...] [LIBS <target> ...] [TESTS ...])
#
# <name> is the folder below src/weft with "/" written as "_" (formats_keras). The target is weft_<name>, its alias
# weft::<name>, its test binary weft_<name>_test (label "unit"). DEPS must stand on lower floors: anything else stops here.

include(GoogleTest)

function(weft_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FLOOR" "SOURCES;HEADERS;DEPS;LIBS;TESTS")
  if(NOT DEFINED arg_FLOOR)
    message(FATAL_ERROR "weft_module(${name}): FLOOR is missing")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weft_module(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set_property(GLOBAL PROPERTY WEFT_FLOOR_${name} ${arg_FLOOR})
  set_property(GLOBAL APPEND PROPERTY WEFT_MODULES ${name})
  foreach(dep IN LISTS arg_DEPS)
    get_property(dep_floor GLOBAL PROPERTY WEFT_FLOOR_${dep})
    if(dep_floor STREQUAL "")
      message(FATAL_ERROR "weft_module(${name}): '${dep}' is not declared yet; modules are listed from the lowest floor up")
    endif()
    if(NOT dep_floor LESS arg_FLOOR)
      message(FATAL_ERROR "weft_module(${name}): floor ${arg_FLOOR} may not depend on '${dep}' (floor ${dep_floor})")
    endif()
  endforeach()

  set(target weft_${name})
  add_library(${target} ${arg_SOURCES})
  add_library(weft::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${arg_HEADERS})
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  foreach(dep IN LISTS arg_DEPS)
    target_link_libraries(${target} PUBLIC weft::${dep})
  endforeach()
  target_link_libraries(${target} PRIVATE ${arg_LIBS})
  weft_reuse_precompiled(${target} modules)
  install(TARGETS ${target} EXPORT weftTargets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

  if(WEFT_DEVELOPER_MODE AND arg_TESTS)
    add_executable(${target}_test ${arg_TESTS})
    target_link_libraries(${target}_test PRIVATE ${target} ${arg_LIBS} weft_test_paths GTest::gtest GTest::gtest_main GTest::gmock)
    target_compile_options(${target}_test PRIVATE ${WEFT_TEST_OPTIONS})
    weft_reuse_precompiled(${target}_test tests)
    gtest_discover_tests(${target}_test TEST_PREFIX ${name}. PROPERTIES LABELS unit DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
