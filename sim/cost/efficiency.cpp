// Reads the calibration of the kernels and chooses the entries for one accelerator.
#include "sim/cost/efficiency.h"

#include <algorithm>
#include <vector>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/kept_json.h"

namespace moesim {
namespace {

// How well an entry suits the accelerator: 2 = its own, 1 = stands for it, 0 = another's.
int closeness(const JsonNode& entry, const std::string& accelerator) {
  if (entry.at("accelerator").as_string() == accelerator) return 2;
  for (const JsonNode& name : entry.at("stands_for").items()) {
    if (name.as_string() == accelerator) return 1;
  }
  return 0;
}

// The first of those that suit it best.
JsonNode closest(const JsonNode& entries, const std::string& accelerator) {
  const std::vector<JsonNode> items = entries.items();
  if (items.empty()) entries.fail("needs at least one entry");
  const auto less = [&](const JsonNode& a, const JsonNode& b) {
    return closeness(a, accelerator) < closeness(b, accelerator);
  };
  return *std::max_element(items.begin(), items.end(), less);
}

Efficiency read_entry(const JsonNode& entry) {
  Efficiency efficiency;
  efficiency.flops = entry.at("flops_efficiency").as_ratio(0.01, 1);
  efficiency.bandwidth = entry.at("bandwidth_efficiency").as_ratio(0.01, 1);
  efficiency.launch = entry.at("launch").as_seconds();
  efficiency.accelerator = entry.at("accelerator").as_string();
  efficiency.precision = entry.at("precision").as_string();
  efficiency.basis = parse_basis(entry.at("basis").as_string());
  return efficiency;
}

}  // namespace

EfficiencyTable load_efficiencies(const std::string& accelerator) {
  const JsonNode file = kept_json_file(data_path("topologies/calibration/kernels.json"));
  EfficiencyTable table;
  table.accelerator = accelerator;
  for (const JsonNode& name : file.at("masked_after").items())
    table.masked_after.push_back(name.as_string());
  const JsonNode tiles = closest(file.at("tiles"), accelerator);
  table.tiles = {static_cast<double>(tiles.at("sms").as_int(1, 4096)),
                 tiles.at("load").as_bytes_per_second(), tiles.at("store").as_bytes_per_second()};
  const JsonNode kernels = file.at("kernels");
  for (const std::string& kernel : kernels.keys()) {
    table.by_kernel[kernel] = read_entry(closest(kernels.at(kernel), accelerator));
  }
  return table;
}

Basis EfficiencyTable::basis(const std::string& kernel, const std::string& precision) const {
  const Efficiency& entry = by_kernel.at(kernel);
  const bool same = entry.accelerator == accelerator && entry.precision == precision;
  return same ? entry.basis : weaker(entry.basis, Basis::transferred);
}

}  // namespace moesim
