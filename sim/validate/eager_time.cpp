// The host's part of eager benchmarks.
#include "sim/validate/eager_time.h"

#include <algorithm>

#include "sim/io/files.h"
#include "sim/io/kept_json.h"

namespace moesim {

Seconds eager_time(Seconds kernels, const std::string& part) {
  const JsonNode file = kept_json_file(data_path("topologies/calibration/kernels.json"));
  const Seconds host = file.at("eager").at(part).as_seconds();
  return std::max(host, host / 2 + kernels);
}

}  // namespace moesim
