// Fits as JSON.
#include "sim/calibrate/calibration_file.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

std::string microseconds(Seconds time) { return fmt::format("{:.5g} us", time.count() * 1e6); }
std::string gigabytes(BytesPerSecond rate) { return fmt::format("{:.5g} GB/s", rate.value / 1e9); }
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

void put_protocol(const ExchangeTiming::Protocol& protocol, Json& entry) {
  entry["fixed"] = microseconds(protocol.fixed);
  entry["efficiency"] = rounded(protocol.nic_efficiency);
  entry["nvlink_efficiency"] = rounded(protocol.nvlink_efficiency);
}

Json entry_of(const Fit& fit) {
  const ExchangeTiming& timing = fit.timing;
  Json entry;
  put_protocol(timing.protocol, entry);
  if (timing.second) put_protocol(*timing.second, entry["second_protocol"]);
  entry["per_expert"] = microseconds(timing.per_expert);
  entry["per_message"] = microseconds(timing.per_message);
  if (timing.sm_rate.value > 0) {
    entry["sm_rate"] = gigabytes(timing.sm_rate);
    entry["sm_row_overhead"] = fmt::format("{:.5g} B", timing.sm_row_overhead.value);
  }
  if (timing.per_token.count() > 0) entry["per_token"] = microseconds(timing.per_token);
  if (timing.copy_rate.value > 0) entry["copy_rate"] = gigabytes(timing.copy_rate);
  if (timing.api_overhead.count() > 0) entry["api_overhead"] = microseconds(timing.api_overhead);
  entry["basis"] = "calibrated";
  entry["accelerators"] = {fit.query.accelerator};
  entry["source"] =
      fmt::format("moesim calibrate on {} measurement{}, starting from: {}", fit.residuals.size(),
                  fit.residuals.size() == 1 ? "" : "s", timing.source);
  entry["residual_rms"] = rounded(fit.rms());
  entry["residual_worst"] = rounded(fit.worst());
  for (const Residual& one : fit.residuals)
    entry["residuals"].push_back({{"measurement", one.name},
                                  {"before", rounded(one.before)},
                                  {"after", rounded(one.after)}});
  return entry;
}

}  // namespace

std::string calibration_text(const std::vector<Fit>& fits, const std::vector<std::string>& notes) {
  Json file;
  file["_about"] =
      "Constants of exchange time fitted by moesim calibrate; a scenario names this file under "
      "cluster.calibration. residuals are (model - measured) / measured, before and after the fit.";
  if (!notes.empty()) file["_notes"] = notes;
  for (const Fit& fit : fits)
    file["algorithms"][fit.query.algorithm][fit.query.direction]
        [fit.query.within_node ? "within_node" : "across_nodes"] = entry_of(fit);
  return file.dump(2) + "\n";
}

}  // namespace moesim
