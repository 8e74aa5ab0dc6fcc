# SPDX-License-Identifier: Apache-2.0
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  message("${output}")
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${WEFT_BINARY_DIR} --prefix ${WORK_DIR}/prefix)
# The installed tree must not lean on the build tree.
file(GLOB_RECURSE exported ${WORK_DIR}/prefix/*.cmake)
foreach(path IN LISTS exported)
  file(READ ${path} text)
  string(FIND "${text}" "${WEFT_BINARY_DIR}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${path} names the build folder")
  endif()
endforeach()
run(${CMAKE_COMMAND} -G Ninja -S ${CONSUMER_DIR} -B ${WORK_DIR}/build -D CMAKE_PREFIX_PATH=${WORK_DIR}/prefix -D
    CMAKE_CXX_COMPILER=${CXX_COMPILER} -D CMAKE_CXX_FLAGS=${CXX_FLAGS} -D WEFT_WANTED=${VERSION})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/consumer)
