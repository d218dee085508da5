// Quantities as SimGrid platform files write them: "1.25GBps", "10Gbps", "50us"; a bare number is
// B/s or s.
#pragma once

#include <string>
#include <vector>

#include "sim/core/units.h"
#include "sim/io/xml_reader.h"

namespace moesim {

BytesPerSecond simgrid_bandwidth(const XmlElement& element, const std::string& attribute);
Seconds simgrid_latency(const XmlElement& element, const std::string& attribute);

// "0-2,5" as 0, 1, 2, 5; at most 65,536 numbers.
std::vector<int> simgrid_radical(const XmlElement& cluster);

}  // namespace moesim
