// Reads "search" key by key.
#include "sim/scenario/load_search.h"

#include <nlohmann/json.hpp>

#include "sim/scenario/study_reader.h"

namespace moesim {

SearchSpec load_search(const std::string& path, const std::vector<std::string>& overrides) {
  // Reads no file that the scenario names.
  return load_search(read_study_file(path, overrides, Outside::allowed));
}

SearchSpec load_search(const JsonNode& root) {
  const auto found = root.find("search");
  if (!found)
    root.fail(
        "has no \"search\": name the plans to try, as in \"search\": {\"over\": "
        "{\"plan.expert_parallel\": [32, 64]}}");
  const JsonNode& node = *found;
  node.allow_only({"objective", "over", "limit", "tokens_per_second", "budget"});
  SearchSpec spec;
  if (const auto objective = node.find("objective")) {
    spec.objective =
        objective->as_choice({"tokens_per_second_per_gpu", "gpus"}, "objective") == "gpus"
            ? SearchObjective::gpus
            : SearchObjective::throughput;
  }
  if (const auto limit = node.find("limit")) {
    spec.slowest_token = limit->as_seconds().count();
    if (!(spec.slowest_token > 0)) limit->fail("must be above 0 s");
  }
  if (const auto load = node.find("tokens_per_second")) {
    spec.load = load->as_number();
    if (!(spec.load > 0)) load->fail("must be above 0");
    if (spec.objective != SearchObjective::gpus)
      load->fail(
          "is not used with this objective; \"objective\": \"gpus\" asks for the fewest GPUs "
          "that carry it");
  } else if (spec.objective == SearchObjective::gpus) {
    node.fail("objective \"gpus\" needs \"tokens_per_second\", the load that the pool must carry");
  }
  if (const auto budget = node.find("budget"))
    spec.budget = static_cast<int>(budget->as_int(1, 100000));
  if (const auto seed = root.find("seed"))
    spec.seed = static_cast<std::uint64_t>(seed->as_int(0, INT64_MAX));
  for (const std::string& key : study_keys())
    if (key != "search" && root.has(key))
      root.at(key).fail("spans a study already; a search spans its own over \"search.over\"");
  const JsonNode over = node.at("over");
  if (!over.is_object() || over.keys().empty())
    over.fail("needs at least one key with its list of values");
  spec.over = over.json().dump();
  return spec;
}

}  // namespace moesim
