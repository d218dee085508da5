// Placement files of all formats, there and back, and what is refused.
#include "sim/plan/placement_file.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/plan/expert_load_file.h"
#include "sim/plan/placement.h"
#include "tests/temporary_folder.h"

namespace moesim {
namespace {

using nlohmann::json;

const PlacementShape kShape{4, 6, 2};

std::vector<Placement> two_layers() {
  PlacementInput input;
  input.load = {{8, 1, 2, 3}, {1, 9, 9, 1}};
  input.slots = 6;
  input.ranks = 2;
  return Catalog<PlacementPart>::instance().at("eplb", "placement")(input);
}

PlacementOrigin origin() { return {"eplb", 4, 2, 1, 1, 1, {1, 3}, {0.5, 0.6}, {0.9, 1.0}}; }

class File {
 public:
  std::string operator()(const std::string& text) const {
    write_file(path(), text);
    return path();
  }
  std::string path() const { return folder_ / "map.json"; }

 private:
  test::TemporaryFolder folder_;
};

void check_refused(const std::string& text, const std::string& message) {
  const File file;
  CAPTURE(text);
  CHECK_THROWS_WITH_AS(read_placement(file(text), kShape), doctest::Contains(message.c_str()),
                       InputError);
}

}  // namespace

TEST_CASE("a placement comes back from a file of every format") {
  const File file;
  const auto placements = two_layers();
  for (const char* name : {"moesim", "sglang", "vllm"}) {
    CAPTURE(name);
    const std::string text = placement_text(placements, origin(), placement_format_named(name));
    const auto back = placements_of_layers(read_placement(file(text), kShape), {1, 3}, 5, "map");
    REQUIRE(back.size() == 2);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      CHECK(back[layer].replica_of == placements[layer].replica_of);
      CHECK(back[layer].rank_of == placements[layer].rank_of);
    }
  }
}

TEST_CASE("SGLang's file has a row for every layer, dense ones in order, and nothing else") {
  const json file = json::parse(placement_text(two_layers(), origin(), PlacementFormat::sglang));
  CHECK(file.size() == 1);
  const json& rows = file.at("physical_to_logical_map");
  REQUIRE(rows.size() == 4);  // layers 0 to 3, of which 1 and 3 are MoE
  CHECK(rows[0] == json{0, 1, 2, 3, 0, 1});
  CHECK(rows[2] == rows[0]);
}

TEST_CASE("vLLM's file has slots by expert, -1 beyond its replicas, and their number") {
  const json file = json::parse(placement_text(two_layers(), origin(), PlacementFormat::vllm));
  const json& expert_of = file.at("physical_to_logical_map");
  for (std::size_t layer = 0; layer < 2; ++layer)
    for (int expert = 0; expert < 4; ++expert) {
      json slots = json::array();
      for (int slot = 0; slot < 6; ++slot)
        if (expert_of[layer][static_cast<std::size_t>(slot)] == expert) slots.push_back(slot);
      const auto e = static_cast<std::size_t>(expert);
      CHECK(file.at("logical_replica_count")[layer][e] == slots.size());
      const json& own = file.at("logical_to_physical_map")[layer][e];
      for (std::size_t i = 0; i < own.size(); ++i)
        CHECK(own[i] == (i < slots.size() ? slots[i] : json(-1)));
    }
}

TEST_CASE("slots by expert alone are enough, and must agree where both are given") {
  const File file;
  json both = json::parse(placement_text(two_layers(), origin(), PlacementFormat::vllm));
  json alone = both;
  alone.erase("physical_to_logical_map");
  const auto back = read_placement(file(alone.dump()), kShape);
  CHECK(back[1].replica_of == two_layers()[1].replica_of);
  std::swap(both["physical_to_logical_map"][0][0], both["physical_to_logical_map"][0][5]);
  check_refused(both.dump(), "logical_to_physical_map: says otherwise");
}

TEST_CASE("placements of other models and plans are refused with file and key") {
  check_refused(R"({"physical_to_logical_map": [[0, 1, 2, 3, 4, 0]]})",
                "map.json:1:43: physical_to_logical_map.0.4");
  check_refused(R"({"physical_to_logical_map": [[0, 1, 2, 2, 1, 0]]})",
                "physical_to_logical_map.0: no slot holds expert 3");
  check_refused(R"({"physical_to_logical_map": [[0, 1, 2, 3]]})",
                "has 4 slots; 4 experts + 2 redundant make 6");
  check_refused(R"({"physical_to_logical_map": []})", "needs a row for at least one layer");
  check_refused(R"({"experts": 8, "physical_to_logical_map": [[0, 1, 2, 3, 0, 1]]})",
                "experts: the placement was made for 8 experts, here are 4");
  check_refused(R"({"ranks": 3, "physical_to_logical_map": [[0, 1, 2, 3, 0, 1]]})",
                "ranks: the placement was made for 3 ranks, here are 2");
  check_refused(R"({"maps": []})", "has neither \"physical_to_logical_map\"");
  check_refused(R"({"logical_to_physical_map": [[[0], [1], [2], [3, 0]]]})",
                "slot 0 holds expert 0 already");
  check_refused(R"({"logical_to_physical_map": [[[0], [1], [2], [3, 4]]]})",
                "slot 5 of 6 holds no expert");
  CHECK_THROWS_WITH_AS(placements_of_layers(two_layers(), {1, 2, 3}, 5, "map.json"),
                       doctest::Contains("has 2 layers; allowed: 3, the MoE layers, or 5"),
                       InputError);
  CHECK_THROWS_WITH_AS(placement_format_named("sglagn"), doctest::Contains("sglang"), InputError);
}

TEST_CASE("loads are read bare, by key and over time, and refused with their place") {
  const File file;
  using Loads = std::vector<std::vector<double>>;
  CHECK(read_expert_load(file("[[1, 2], [3, 4.5]]")) == Loads{{1, 2}, {3, 4.5}});
  CHECK(read_expert_load(file(R"({"loads": [[1, 2]], "model": "x"})")) == Loads{{1, 2}});
  CHECK(read_expert_load(file(R"({"weight": [[1, 2]]})")) == Loads{{1, 2}});
  CHECK(read_expert_load(file(R"({"logical_count": [[[1, 2], [3, 4]], [[10, 20], [30, 40]]]})")) ==
        Loads{{11, 22}, {33, 44}});
  const auto refused = [&](const char* text, const char* message) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(read_expert_load(file(text)), doctest::Contains(message), InputError);
  };
  refused("[[1, 2], [3]]", "map.json:1:10: 1: has 1 experts, the first layer 2");
  refused("[[1, -2]]", "map.json:1:6: 0.1: a load is 0 or more token copies, not -2");
  refused("[[1, \"x\"]]", "map.json:1:6: 0.1");
  refused("[]", "at least one layer");
  refused("[[]]", "at least one expert");
  refused("{\"load\": [[1]]}", "one of them holds the loads");
  refused("[[[1, 2]], [[1, 2], [3, 4]]]", "is 2 x 2, the first matrix 1 x 2");
}

}  // namespace moesim
