// EPLB against 20 cases run through DeepSeek's own code with stable sorting (tests/data/README.md).
#include "sim/plan/placement/eplb.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "sim/io/json_reader.h"
#include "tests/source_dir.h"

namespace moesim {
namespace {

using IntRows = std::vector<std::vector<int>>;

PlacementInput input_of(const nlohmann::json& test_case) {
  PlacementInput input;
  input.load = test_case.at("weight").get<std::vector<std::vector<double>>>();
  input.slots = test_case.at("num_replicas").get<int>();
  input.ranks = test_case.at("num_gpus").get<int>();
  input.nodes = test_case.at("num_nodes").get<int>();
  input.groups = test_case.at("num_groups").get<int>();
  return input;
}

// The slots of an expert, filled up with -1 as the original's table is.
std::vector<int> padded(std::vector<int> slots, std::size_t width) {
  slots.resize(width, -1);
  return slots;
}

}  // namespace

TEST_CASE("EPLB gives the slots, replicas and counts of the original in all its cases") {
  const JsonNode file = read_json_file(test::source_dir() + "/tests/data/eplb_cases.json");
  const nlohmann::json& cases = file.at("cases").json();
  REQUIRE(cases.size() == 20);
  int hierarchical = 0, global = 0;
  for (std::size_t number = 0; number < cases.size(); ++number) {
    const nlohmann::json& test_case = cases[number];
    CAPTURE(number);
    ++(test_case.at("policy") == "global" ? global : hierarchical);
    const auto expert_of_slot = test_case.at("phy2log_stable").get<IntRows>();
    const auto slots_of_expert = test_case.at("log2phy_stable").get<std::vector<IntRows>>();
    const auto replicas = test_case.at("logcnt_stable").get<IntRows>();
    const std::vector<EplbLayer> layers = eplb(input_of(test_case));
    REQUIRE(layers.size() == expert_of_slot.size());
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      CHECK(layers[layer].expert_of_slot == expert_of_slot[layer]);
      REQUIRE(layers[layer].slots_of_expert.size() == replicas[layer].size());
      for (std::size_t expert = 0; expert < replicas[layer].size(); ++expert) {
        const std::vector<int>& slots = layers[layer].slots_of_expert[expert];
        CHECK(static_cast<int>(slots.size()) == replicas[layer][expert]);
        CHECK(padded(slots, slots_of_expert[layer][expert].size()) ==
              slots_of_expert[layer][expert]);
      }
    }
  }
  CHECK(hierarchical == 17);
  CHECK(global == 3);
}

TEST_CASE("the registered strategy holds the slots that EPLB computes") {
  const PlacementInput input{{{90, 132, 40, 61, 104, 165, 39, 4}}, 12, 4, 2, 2, 0};
  const EplbLayer layer = eplb(input)[0];
  const Placement placement = Catalog<PlacementPart>::instance().at("eplb", "placement")(input)[0];
  for (std::size_t slot = 0; slot < 12; ++slot) {
    CHECK(static_cast<int>(placement.replica_of[slot]) == layer.expert_of_slot[slot]);
    CHECK(index(placement.rank_of[slot]) == slot / 3);
  }
}

TEST_CASE("the hierarchical policy keeps an expert group in one node") {
  const PlacementInput input{{{9, 8, 7, 6, 5, 4, 3, 2}}, 12, 4, 2, 4, 0};
  const EplbLayer layer = eplb(input)[0];
  for (std::size_t group = 0; group < 4; ++group) {
    std::vector<int> nodes;
    for (std::size_t expert = 2 * group; expert < 2 * group + 2; ++expert)
      for (const int slot : layer.slots_of_expert[expert]) nodes.push_back(slot / 6);
    CHECK(std::count(nodes.begin(), nodes.end(), nodes[0]) ==
          static_cast<std::ptrdiff_t>(nodes.size()));
  }
}

TEST_CASE("experts that do not divide into the groups are refused") {
  const PlacementInput input{{{1, 2, 3, 4, 5, 6}}, 8, 4, 2, 4, 0};
  CHECK_THROWS_WITH_AS(eplb(input), "placement eplb: 6 experts do not divide into 4 groups",
                       InputError);
}

}  // namespace moesim
