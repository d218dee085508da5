// Numbers with SimGrid's unit spellings.
#include "topologies/importers/simgrid_units.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <sstream>

namespace moesim {
namespace {

struct Spelling {
  const char* unit;
  double scale;
};

template <std::size_t N>
double parse(const XmlElement& element,
             const std::string& attribute,
             const std::array<Spelling, N>& spellings) {
  const std::string text = element.at(attribute);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit(end), known;
  unit.erase(0, unit.find_first_not_of(' ') == std::string::npos ? 0 : unit.find_first_not_of(' '));
  const bool is_number = end != text.c_str() && std::isfinite(number) && number >= 0;
  for (const Spelling& spelling : spellings) {
    if (is_number && unit == spelling.unit && std::isfinite(number * spelling.scale))
      return number * spelling.scale;
    known += (known.empty() ? "" : ", ") + std::string(spelling.unit);
  }
  element.fail(attribute + "=\"" + text + "\" is not a number with one of the units " + known);
}

}  // namespace

BytesPerSecond simgrid_bandwidth(const XmlElement& element, const std::string& attribute) {
  constexpr std::array<Spelling, 18> spellings{{{"Bps", 1},
                                                {"kBps", 1e3},
                                                {"MBps", 1e6},
                                                {"GBps", 1e9},
                                                {"TBps", 1e12},
                                                {"KiBps", 1024},
                                                {"MiBps", 1048576},
                                                {"GiBps", 1073741824.0},
                                                {"TiBps", 1099511627776.0},
                                                {"bps", 1 / 8.0},
                                                {"kbps", 1e3 / 8},
                                                {"Mbps", 1e6 / 8},
                                                {"Gbps", 1e9 / 8},
                                                {"Tbps", 1e12 / 8},
                                                {"Kibps", 1024 / 8.0},
                                                {"Mibps", 131072.0},
                                                {"Gibps", 134217728.0},
                                                {"", 1}}};
  const BytesPerSecond rate(parse(element, attribute, spellings));
  if (!(rate.value >= 1)) element.fail(attribute + " must be above 0");
  return rate;
}

Seconds simgrid_latency(const XmlElement& element, const std::string& attribute) {
  constexpr std::array<Spelling, 6> spellings{
      {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"ps", 1e-12}, {"", 1}}};
  return Seconds(parse(element, attribute, spellings));
}

std::vector<int> simgrid_radical(const XmlElement& cluster) {
  std::vector<int> numbers;
  std::istringstream parts(cluster.at("radical"));
  const auto wrong = [&] {
    cluster.fail("radical=\"" + cluster.at("radical") + "\" is no list of ranges, as \"0-7,9\" is");
  };
  for (std::string part; std::getline(parts, part, ',');) {
    int low = 0, high = 0;
    char dash = 0;
    std::istringstream range(part);
    if (!(range >> low)) wrong();
    if (!(range >> dash >> high)) high = low;
    if (low < 0 || high < low || (dash != 0 && dash != '-')) wrong();
    if (static_cast<std::size_t>(high) - static_cast<std::size_t>(low) + numbers.size() >= 65536)
      cluster.fail("radical holds more than 65,536 hosts");
    for (int number = low; number <= high; ++number) numbers.push_back(number);
  }
  if (numbers.empty()) wrong();
  return numbers;
}

}  // namespace moesim
