# One program holds every test; each source file of it is one CTest entry named by its path, so a
# crash in one file hides no other and `ctest -R replay` picks by folder.
file(GLOB_RECURSE MOESIM_TEST_SOURCES CONFIGURE_DEPENDS tests/*.cpp)
list(FILTER MOESIM_TEST_SOURCES EXCLUDE REGEX "tests/fuzz/")
add_executable(moesim_tests ${MOESIM_TEST_SOURCES})
target_link_libraries(moesim_tests PRIVATE moesim_objects doctest::doctest)
target_compile_options(moesim_tests PRIVATE ${MOESIM_COLD_OPTIONS})
if(MOESIM_PRECOMPILE)
  target_precompile_headers(moesim_tests PRIVATE <algorithm> <filesystem> <fmt/format.h> <map> <string> <vector>
                            <nlohmann/json.hpp> <doctest/doctest.h>)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/main.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endif()
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/main.cpp PROPERTIES COMPILE_DEFINITIONS
  "MOESIM_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")
add_dependencies(moesim_tests moesim moesim_library moesim_share)

foreach(source ${MOESIM_TEST_SOURCES})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${source})
  if(NOT name MATCHES "_test\\.cpp$")
    continue()  # helpers of tests
  endif()
  string(REGEX REPLACE "_test\\.cpp$" "" test ${name})
  add_test(NAME ${test} COMMAND moesim_tests --source-file=*/tests/${name} --no-intro
           WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  # doctest calls an empty selection a success; here it means that the file's tests are lost.
  set_tests_properties(${test} PROPERTIES TIMEOUT 600 FAIL_REGULAR_EXPRESSION "test cases: +0 ")
endforeach()

add_test(NAME library_example
         COMMAND ${CMAKE_COMMAND} -E env CXX=${CMAKE_CXX_COMPILER}
                 "MOESIM_EXAMPLE_FLAGS=$<$<BOOL:${MOESIM_SANITIZE}>:-fsanitize=address,undefined>"
                 ${PROJECT_SOURCE_DIR}/tests/library_example.sh ${PROJECT_BINARY_DIR})

# The examples of CONTRIBUTING.md are compiled, so that they keep up with the contracts they show.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md)
file(READ ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md rest)
string(FIND "${rest}" "```cpp\n" begin)
while(NOT begin EQUAL -1)
  math(EXPR begin "${begin} + 7")
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "```" end)
  string(SUBSTRING "${rest}" 0 ${end} example)
  string(SUBSTRING "${rest}" ${end} -1 rest)
  string(SHA256 hash "${example}")
  string(SUBSTRING ${hash} 0 8 hash)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/examples/${hash}.cpp CONTENT "${example}" @ONLY)
  list(APPEND MOESIM_EXAMPLES ${PROJECT_BINARY_DIR}/examples/${hash}.cpp)
  string(FIND "${rest}" "```cpp\n" begin)
endwhile()
add_library(moesim_examples OBJECT ${MOESIM_EXAMPLES})
target_link_libraries(moesim_examples PRIVATE moesim_dependencies)
