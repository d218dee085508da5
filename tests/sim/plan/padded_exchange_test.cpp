// hierarchical_2d: capacity recounted copy by copy; bytes, copies and buffers by closed form.
#include <doctest/doctest.h>

#include <map>

#include "sim/plan/link_loads.h"
#include "sim/plan/moe_layers.h"
#include "tests/sim/plan/recount.h"

using namespace moesim;
using namespace moesim::test;

namespace {

const AllToAllPart& hierarchical() {
  return Catalog<AllToAllPart>::instance().at("hierarchical_2d", "all-to-all");
}

// 32 ranks of 8 a node, 64 experts, `most` copies of a rank for its fullest expert, 64 tokens a
// rank.
ExchangeShape four_nodes() {
  ExchangeShape shape{1024, 32, 8, 64, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
  return shape;
}

std::shared_ptr<RoutedCopies> routed_of(std::uint32_t most) {
  const auto routed = std::make_shared<RoutedCopies>();
  routed->ranks = 32;
  routed->tokens.assign(32, 64);
  routed->most_for_expert = {most};
  return routed;
}

}  // namespace

TEST_CASE("the fullest expert of each EP group equals a recount copy by copy") {
  for (const StepCase& c :
       {StepCase{}, StepCase{.choice = ReplicaChoice::nearest, .seed = 2},
        StepCase{.nodes = 4, .expert_parallel = 16, .tensor = 4, .seed = 3},
        StepCase{.nodes = 4, .redundant = 0, .expert_parallel = 8, .tensor = 2, .seed = 4}}) {
    const StepWorld world(c);
    const auto copies = count_all(world);
    for (std::size_t layer = 0; layer < copies.size(); ++layer) {
      std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> of_slot;  // by source and slot
      each_token_slots(world, layer,
                       [&](std::size_t source, const std::vector<std::size_t>& slots) {
                         for (const std::size_t slot : slots) ++of_slot[{source, slot}];
                       });
      const auto group = static_cast<std::size_t>(c.expert_parallel);
      std::vector<std::uint32_t> most(static_cast<std::size_t>(world.cluster.ranks()) / group);
      for (const auto& [key, count] : of_slot)
        most[key.first / group] = std::max(most[key.first / group], count);
      CHECK(copies[layer]->most_for_expert == most);
    }
  }
}

TEST_CASE("padded slices cross NVLink and rails as the closed form says") {
  const ExchangeShape shape = four_nodes();
  const Cluster cluster = make_cluster(4);
  const FabricPaths paths(cluster.fabric);
  const double row = 1024 + 4 * 8, capacity = 9, buffer = 64 * capacity * row;  // L = E C row
  const double slice = buffer / 32;                                             // S = L / P
  const auto stages = hierarchical().dispatch(shape, routed_of(9));
  REQUIRE(stages.size() == 2);
  const double to_others[2] = {7 * 4 * slice, 3 * 8 * slice};  // G messages of N S, N of G S
  for (std::size_t stage = 0; stage < 2; ++stage) {
    ExchangeInputs inputs;
    inputs.traffic = stages[stage];
    inputs.peers = 31;
    inputs.timing.per_message = Seconds(1);
    const Exchange exchange = make_exchange(paths, 32, inputs);
    for (std::size_t rank = 0; rank < 32; ++rank) {
      CHECK(exchange.sent[rank].value == doctest::Approx(to_others[stage]));
      CHECK(exchange.received[rank].value == doctest::Approx(to_others[stage]));
      CHECK((exchange.sent[rank] + exchange.kept[rank]).value == doctest::Approx(buffer));
      CHECK(exchange.message_time[rank].count() == doctest::Approx(stage == 0 ? 7 : 3));
    }
    for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link)
      if (exchange.link_bytes[link].value > 0)
        CHECK((cluster.fabric.links[link].tier == LinkTier::nvlink) == (stage == 0));
    CHECK(stages[stage].copied.value == doctest::Approx(buffer));
  }
}

TEST_CASE("combine goes over the rail first, in its own format") {
  const auto stages = hierarchical().combine(four_nodes(), routed_of(9));
  REQUIRE(stages.size() == 2);
  for (const ExchangeTraffic& stage : stages) CHECK(stage.legs.at(0).row_bytes == 2048);
  CHECK(stages[0].legs[0].rows->at(0, 8) == 8 * 9 * 2);  // G slices of C E/P rows
  CHECK(stages[0].legs[0].rows->at(0, 1) == 0);
  CHECK(stages[1].legs[0].rows->at(0, 1) == 4 * 9 * 2);
}

TEST_CASE("one node needs no second stage and no copy") {
  ExchangeShape shape = four_nodes();
  shape.ranks = 8;
  const auto routed = routed_of(9);
  routed->ranks = 8;
  routed->tokens.resize(8);
  const auto stages = hierarchical().dispatch(shape, routed);
  REQUIRE(stages.size() == 1);
  CHECK(stages[0].copied.value == 0);
  CHECK(stages[0].legs[0].rows->at(0, 1) == 9 * 8);
}

TEST_CASE("a capacity factor pads, and grows where the fullest expert needs more") {
  ExchangeShape shape = four_nodes();
  const auto capacity = [&](double factor, std::uint32_t most) {
    shape.capacity_factor = factor;
    return hierarchical().dispatch(shape, routed_of(most))[0].legs[0].rows->at(0, 1) / (4.0 * 2);
  };
  // k floor(f ceil(T / E)) with T 64, E 64, k 8.
  CHECK(capacity(0, 9) == 9);
  CHECK(capacity(1, 5) == 8);
  CHECK(capacity(1.5, 5) == 8);
  CHECK(capacity(2, 5) == 16);
  CHECK(capacity(1, 9) == 9);
}

TEST_CASE("padded buffers have room for all of a rank's tokens at one expert") {
  // Sent and received: E C rows of bf16 with C the 128 tokens a rank may have.
  CHECK(hierarchical().buffer_bytes(four_nodes()).value == 2 * 64 * 128 * 2048.0);
}

TEST_CASE("the copies of a padded exchange take memory bandwidth before each stage") {
  StepWorld world(StepCase{.nodes = 4, .redundant = 32, .expert_parallel = 32, .seed = 7});
  world.plan.dispatch = world.plan.combine = "hierarchical_2d";
  const StepGraph graph = world.build();
  const auto routed = count_all(world)[0];
  const double rows = routed->most_for_expert.at(0) * 64.0;  // E C
  const double copy = 2 * rows * 2 * 2880 / world.cluster.accelerator.memory_bandwidth.value;
  std::vector<const Exchange*> found;
  for (const Task& task : graph.tasks)
    if (task.kind == TaskKind::dispatch && found.size() < 2)
      found.push_back(&graph.exchanges[static_cast<std::size_t>(task.exchange)]);
  REQUIRE(found.size() == 2);
  for (const Exchange* stage : found) CHECK(stage->copy_time[0].count() == doctest::Approx(copy));
  CHECK(found[0]->fixed.count() > 0);
  CHECK(found[1]->fixed.count() == 0);
}
