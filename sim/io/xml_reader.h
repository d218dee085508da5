// Checked reading of XML: every element knows its file and line.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

struct XmlElement {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<XmlElement> children;  // elements; text and comments are left out
  Location where;                    // its key is the name

  std::optional<std::string> find(const std::string& attribute) const;
  std::string at(const std::string& attribute) const;  // InputError when it is missing
  [[noreturn]] void fail(const std::string& message) const;
};

// The document's element. InputError with the line of a syntax error, and for elements nested
// deeper than 64. `name` stands in messages.
XmlElement read_xml_text(const std::string& text, const std::string& name);

}  // namespace moesim
