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

// The first of those that suit the accelerator best: for each precision that something suits, and
// for all others (""), where an entry that names no precision comes before all that do.
ByPrecision<JsonNode> closest(const JsonNode& entries, const std::string& accelerator) {
  ByPrecision<JsonNode> chosen;
  ByPrecision<int> best;
  const auto offer = [&](const std::string& precision, const JsonNode& entry, int rank) {
    const auto known = best.find(precision);
    if (known != best.end() && rank <= known->second) return;
    best[precision] = rank;
    chosen.insert_or_assign(precision, entry);
  };
  for (const JsonNode& entry : entries.items()) {
    constexpr int kClosest = 2;
    const int close = closeness(entry, accelerator);
    const auto precision = entry.find("precision");
    offer("", entry, precision ? close : close + kClosest + 1);
    if (precision && close > 0) offer(precision->as_string(), entry, close);
  }
  if (chosen.empty()) entries.fail("needs at least one entry");
  return chosen;
}

template <class Value>
const Value& suiting(const ByPrecision<Value>& known, const std::string& precision) {
  const auto found = known.find(precision);
  return found != known.end() ? found->second : known.at("");
}

Efficiency read_entry(const JsonNode& entry) {
  Efficiency efficiency;
  efficiency.flops = entry.at("flops_efficiency").as_ratio(0.01, 1);
  efficiency.bandwidth = entry.at("bandwidth_efficiency").as_ratio(0.01, 1);
  efficiency.launch = entry.at("launch").as_seconds();
  if (const auto call = entry.find("call")) efficiency.call = call->as_seconds();
  if (const auto knee = entry.find("knee")) efficiency.knee = knee->as_ratio(1, 64);
  efficiency.accelerator = entry.at("accelerator").as_string();
  efficiency.precision = entry.at("precision").as_string();
  efficiency.basis = parse_basis(entry.at("basis").as_string());
  return efficiency;
}

TileRates read_tiles(const JsonNode& entry) {
  TileRates rates{static_cast<double>(entry.at("sms").as_int(1, 4096)),
                  entry.at("load").as_bytes_per_second(), entry.at("store").as_bytes_per_second()};
  if (const auto split = entry.find("split")) rates.split = split->as_seconds();
  return rates;
}

}  // namespace

EfficiencyTable load_efficiencies(const std::string& accelerator) {
  const JsonNode file = kept_json_file(data_path("topologies/calibration/kernels.json"));
  EfficiencyTable table;
  table.accelerator = accelerator;
  for (const JsonNode& name : file.at("masked_after").items())
    table.masked_after.push_back(name.as_string());
  for (const auto& [precision, entry] : closest(file.at("tiles"), accelerator))
    table.tiles[precision] = read_tiles(entry);
  const JsonNode kernels = file.at("kernels");
  for (const std::string& name : kernels.keys())
    for (const auto& [precision, entry] : closest(kernels.at(name), accelerator))
      table.kernel[name][precision] = read_entry(entry);
  return table;
}

const Efficiency& EfficiencyTable::of(const std::string& name, const std::string& precision) const {
  return suiting(kernel.at(name), precision);
}

const TileRates& EfficiencyTable::tiles_of(const std::string& precision) const {
  return suiting(tiles, precision);
}

Basis EfficiencyTable::basis(const std::string& name, const std::string& precision) const {
  const Efficiency& entry = of(name, precision);
  const bool same = entry.accelerator == accelerator && entry.precision == precision;
  return same ? entry.basis : weaker(entry.basis, Basis::transferred);
}

}  // namespace moesim
