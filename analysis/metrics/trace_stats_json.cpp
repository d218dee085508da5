// The figures of `moesim trace stats` for programs.
#include <nlohmann/json.hpp>

#include "analysis/metrics/trace_stats_text.h"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const LoadStats& stats) {
  return {{"copies", stats.copies},
          {"max_over_mean", stats.max_over_mean},
          {"zipf_exponent", stats.zipf_exponent},
          {"hottest_eighth", stats.hottest_eighth}};
}

// Null where nothing was counted.
Json json_of(const DependenceStats& stats) {
  if (stats.pairs == 0) return nullptr;
  return {{"share", stats.share}, {"chance", stats.chance}, {"pairs", stats.pairs}};
}

Json share_or_null(double share) { return share > 0 ? Json(share) : Json(); }

Json json_of(const PhaseOverlap& phases) {
  Json json = Json::array();
  for (std::size_t i = 0; phases.counted && i < kPhaseTops.size(); ++i)
    json.push_back({{"top", kPhaseTops[i]}, {"share", phases.share[i]}});
  return json;
}

Json json_of(const LayerTraceStats& layer, const std::vector<std::string>& domains) {
  Json json{{"layer", layer.layer}, {"all", json_of(layer.all)}, {"by_domain", Json::object()}};
  json["load"] = layer.all.load;
  for (std::size_t domain = 0; domain < layer.by_domain.size(); ++domain)
    json["by_domain"][domains[domain]] = json_of(layer.by_domain[domain]);
  json["distance_between_domains"] = layer.distance_between_domains;
  json["next_layer"] = json_of(layer.next_layer);
  json["next_token"] = json_of(layer.next_token);
  json["same_first_expert"] = json_of(layer.same_first_expert);
  json["next_layer_hottest"] = share_or_null(layer.next_layer_hottest);
  json["next_token_hottest"] = share_or_null(layer.next_token_hottest);
  json["phases"] = json_of(layer.phases);
  return json;
}

}  // namespace

std::string stats_json(const TraceStats& stats) {
  const TraceHeader& header = stats.header;
  Json json{{"model", header.model},
            {"origin", header.origin},
            {"seed", header.seed},
            {"experts", header.experts},
            {"top_k", header.top_k},
            {"data_sha256", header.data_sha256},
            {"tokens", stats.tokens},
            {"prefill_tokens", stats.prefill_tokens},
            {"requests", stats.requests},
            {"not_routed", stats.not_routed},
            {"tokens_by_domain", Json::object()},
            {"layers", Json::array()}};
  for (std::size_t domain = 0; domain < header.domains.size(); ++domain)
    json["tokens_by_domain"][header.domains[domain]] = stats.tokens_by_domain[domain];
  for (const LayerTraceStats& layer : stats.layers)
    json["layers"].push_back(json_of(layer, header.domains));
  return json.dump(1) + "\n";
}

}  // namespace moesim
