// pugixml's tree as elements with lines: pugixml counts characters only.
#include "sim/io/xml_reader.h"

#include <algorithm>
#include <pugixml.hpp>

namespace moesim {
namespace {

constexpr int kDeepest = 64;

struct Text {
  const std::string& characters;
  const std::string& name;
  std::vector<std::size_t> line_ends = {};

  int line_of(std::ptrdiff_t offset) const {
    const auto at = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, offset));
    return 1 + static_cast<int>(std::lower_bound(line_ends.begin(), line_ends.end(), at) -
                                line_ends.begin());
  }
};

XmlElement element_of(const pugi::xml_node& node, const Text& text, int depth) {
  XmlElement element;
  element.name = node.name();
  element.where = {text.name, text.line_of(node.offset_debug()), 0, element.name};
  if (depth > kDeepest) element.fail("is nested deeper than 64 elements");
  for (const pugi::xml_attribute& attribute : node.attributes())
    element.attributes.emplace_back(attribute.name(), attribute.value());
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_element)
      element.children.push_back(element_of(child, text, depth + 1));
  }
  return element;
}

}  // namespace

std::optional<std::string> XmlElement::find(const std::string& attribute) const {
  for (const auto& [key, value] : attributes) {
    if (key == attribute) return value;
  }
  return std::nullopt;
}

std::string XmlElement::at(const std::string& attribute) const {
  if (const auto value = find(attribute)) return *value;
  fail("needs the attribute \"" + attribute + "\"");
}

void XmlElement::fail(const std::string& message) const { throw InputError(where, message); }

XmlElement read_xml_text(const std::string& text, const std::string& name) {
  Text place{text, name};
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    place.line_ends.push_back(at);
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
  if (!result)
    throw InputError(Location{name, place.line_of(result.offset), 0, ""},
                     std::string("is no XML: ") + result.description());
  return element_of(document.document_element(), place, 0);
}

}  // namespace moesim
