// The bake-off for programs.
#include <nlohmann/json.hpp>

#include "analysis/compare/bake_off.h"
#include "analysis/report/bake_off_text.h"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json row_json(const BakeOffRow& row) {
  Json json{{"plan", row.plan},
            {"median_step_seconds", row.median_step},
            {"worst_step_seconds", row.worst_step},
            {"balancedness", row.balancedness},
            {"worst_layer_balancedness", row.worst_layer},
            {"ranks_per_token", row.ranks_per_token},
            {"nodes_per_token", row.nodes_per_token},
            {"nvlink_bytes", row.nvlink_bytes},
            {"nic_bytes", row.nic_bytes},
            {"memory_headroom_bytes", row.headroom}};
  if (row.moved_bytes) json["moved_bytes"] = *row.moved_bytes;
  if (row.planning > 0) json["planning_seconds"] = row.planning;
  return json;
}

}  // namespace

std::string bake_off_json(const StudyResult& study,
                          const std::vector<double>& planning,
                          const std::vector<std::string>& measured) {
  Json json{{"name", study.name},
            {"plans", Json::array()},
            {"did_not_run", Json::array()},
            {"duels", Json::array()}};
  for (const BakeOffRow& row : bake_off_rows(study, planning))
    json["plans"].push_back(row_json(row));
  for (const PointResult& point : study.points)
    if (!point.ran)
      json["did_not_run"].push_back({{"plan", point.label}, {"verdict", point.memory.verdict}});
  for (const Duel& duel : duels(study))
    json["duels"].push_back({{"better", study.points[duel.better].label},
                             {"other", study.points[duel.other].label},
                             {"wins", duel.wins},
                             {"windows", duel.windows},
                             {"median_gain", duel.median_gain}});
  json["words"] = bake_off_lines(study);
  if (!measured.empty()) json["measured"] = measured;
  return json.dump(1) + "\n";
}

}  // namespace moesim
