// The files that every page carries inside it. They are part of the program (page.cmake), so a
// report needs neither the source folder nor a network.
#pragma once

#include <string_view>

namespace moesim {

std::string_view echarts_script();   // Apache ECharts, minified, the version in package-lock.json
std::string_view page_style();       // page.css
std::string_view page_script();      // page.js
std::string_view chart_functions();  // chart_functions.js
std::string_view picture_script();   // picture.js

}  // namespace moesim
