# Puts the report's page parts into the program: ECharts comes from npm at exactly the locked version, page.css
# and the scripts from here; an assembler .incbin in a generated source embeds them all. Works in any build folder.
find_program(NPM npm)
if(NOT NPM)
  message(FATAL_ERROR "npm is missing; it fetches the chart library of the report: apt-get install npm")
endif()

set(MOESIM_PAGE_DIR ${PROJECT_BINARY_DIR}/report)
set(ECHARTS_FILE ${MOESIM_PAGE_DIR}/echarts.min.js)
set(PAGE_CSS_FILE ${CMAKE_CURRENT_LIST_DIR}/page.css)
set(PAGE_JS_FILE ${CMAKE_CURRENT_LIST_DIR}/page.js)
set(CHART_FUNCTIONS_FILE ${CMAKE_CURRENT_LIST_DIR}/chart_functions.js)
set(PICTURE_JS_FILE ${CMAKE_CURRENT_LIST_DIR}/picture.js)

# node_modules goes again once the one file is out: it is 67 MB, and the source folder may be read-only.
add_custom_command(
  OUTPUT ${ECHARTS_FILE}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${MOESIM_PAGE_DIR}/npm
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_LIST_DIR}/package.json ${CMAKE_CURRENT_LIST_DIR}/package-lock.json
          ${MOESIM_PAGE_DIR}/npm
  COMMAND ${CMAKE_COMMAND} -E chdir ${MOESIM_PAGE_DIR}/npm ${NPM} ci --ignore-scripts --no-audit --no-fund
          --prefer-offline --no-progress --no-update-notifier
  COMMAND ${CMAKE_COMMAND} -E copy ${MOESIM_PAGE_DIR}/npm/node_modules/echarts/dist/echarts.min.js ${ECHARTS_FILE}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${MOESIM_PAGE_DIR}/npm
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/package.json ${CMAKE_CURRENT_LIST_DIR}/package-lock.json
  COMMENT "Fetching the locked ECharts from npm"
  VERBATIM)

configure_file(${CMAKE_CURRENT_LIST_DIR}/page_assets.cpp.in ${MOESIM_PAGE_DIR}/page_assets.cpp @ONLY)
set_source_files_properties(${MOESIM_PAGE_DIR}/page_assets.cpp PROPERTIES
  OBJECT_DEPENDS "${ECHARTS_FILE};${PAGE_CSS_FILE};${PAGE_JS_FILE};${CHART_FUNCTIONS_FILE};${PICTURE_JS_FILE}")
# A compiler cache sees .incbin's file names, not what is in them: what they hold goes into the command.
foreach(file ${PAGE_CSS_FILE} ${PAGE_JS_FILE} ${CHART_FUNCTIONS_FILE} ${PICTURE_JS_FILE} ${CMAKE_CURRENT_LIST_DIR}/package-lock.json)
  file(SHA256 ${file} hash)
  string(APPEND MOESIM_PAGE_HASHES ${hash})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
string(SHA256 MOESIM_PAGE_HASH ${MOESIM_PAGE_HASHES})
set_source_files_properties(${MOESIM_PAGE_DIR}/page_assets.cpp PROPERTIES COMPILE_DEFINITIONS MOESIM_PAGE_HASH=${MOESIM_PAGE_HASH})
target_sources(moesim_objects PRIVATE ${MOESIM_PAGE_DIR}/page_assets.cpp)
