// The summary of a fabric for programs.
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/topology/fabric_picture.h"

namespace moesim {

std::string fabric_json(const FabricSummary& summary, const std::string& topology) {
  using Json = nlohmann::ordered_json;
  Json json{{"topology", topology},      {"ranks", summary.ranks},
            {"nodes", summary.nodes},    {"ranks_per_node", summary.ranks_per_node},
            {"devices", Json::object()}, {"port_bytes_per_second", summary.port.value},
            {"tiers", Json::array()}};
  for (const auto& [kind, count] : summary.devices) json["devices"][to_text(kind)] = count;
  if (std::isfinite(summary.bisection.value))
    json["bisection_bytes_per_second"] = summary.bisection.value;
  if (summary.oversubscription > 0) json["oversubscription"] = summary.oversubscription;
  json["diameter_links"] = summary.diameter;
  json["farthest_seconds"] = summary.farthest.count();
  for (const TierSummary& tier : summary.tiers)
    json["tiers"].push_back({{"tier", tier_name(tier.tier)},
                             {"cables", tier.cables},
                             {"slowest_bytes_per_second", tier.slowest.value},
                             {"fastest_bytes_per_second", tier.fastest.value},
                             {"shortest_latency_seconds", tier.shortest.count()},
                             {"longest_latency_seconds", tier.longest.count()}});
  return json.dump(1) + "\n";
}

}  // namespace moesim
