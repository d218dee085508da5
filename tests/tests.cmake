# One program holds every test; each source file of it is one CTest entry named by its path, so a
# crash in one file hides no other and `ctest -R replay` picks by folder.
file(GLOB_RECURSE MOESIM_TEST_SOURCES CONFIGURE_DEPENDS tests/*.cpp)
add_executable(moesim_tests ${MOESIM_TEST_SOURCES})
target_link_libraries(moesim_tests PRIVATE moesim_objects doctest::doctest)
target_compile_definitions(moesim_tests PRIVATE MOESIM_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                MOESIM_PROGRAM="$<TARGET_FILE:moesim>")
add_dependencies(moesim_tests moesim)

foreach(source ${MOESIM_TEST_SOURCES})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${source})
  if(name STREQUAL "main.cpp")
    continue()
  endif()
  string(REGEX REPLACE "(_test)?\\.cpp$" "" test ${name})
  add_test(NAME ${test} COMMAND moesim_tests --source-file=*/tests/${name} --no-intro
           WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  # doctest calls an empty selection a success; here it means that the file's tests are lost.
  set_tests_properties(${test} PROPERTIES TIMEOUT 600 FAIL_REGULAR_EXPRESSION "test cases: +0 ")
endforeach()
