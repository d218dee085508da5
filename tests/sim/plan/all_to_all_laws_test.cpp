// Every all-to-all algorithm: the rows it moves are those that the routing implies, recounted token
// by token; rails keep to their rail.
#include <doctest/doctest.h>

#include "sim/plan/link_loads.h"
#include "sim/plan/moe_layers.h"
#include "tests/sim/plan/recount.h"

using namespace moesim;
using namespace moesim::test;

namespace {

struct Directions {
  std::vector<ExchangeTraffic> dispatch, combine;
};

ExchangeShape shape_of(const AllToAllPart& part, const StepWorld& world) {
  const RankCosts costs(world.model, world.cluster, world.plan.parallelism, world.plan.precision);
  return exchange_shape({world.model, world.cluster, world.plan, world.trace, costs}, world.batch,
                        part);
}

Directions traffic_of(const std::string& name,
                      const StepWorld& world,
                      const std::shared_ptr<const RoutedCopies>& routed) {
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at(name, "all-to-all");
  const ExchangeShape shape = shape_of(part, world);
  return {part.dispatch(shape, routed), part.combine(shape, routed)};
}

// [source][destination] rows of a leg.
Matrix matrix_of(const RowCounts& rows) {
  Matrix matrix(rows.sources(), std::vector<double>(rows.sources()));
  for (std::size_t source = 0; source < rows.sources(); ++source)
    for (const auto [destination, count] : rows.of(source)) matrix[source][destination] += count;
  return matrix;
}

// Rows over rails and inside nodes when each token goes to `reach(destinations)`.
struct RailRecount {
  Matrix rail, local;
};

template <class Reach>
RailRecount recount_rails(const StepWorld& world, std::size_t layer, const Reach& reach) {
  const auto ranks = static_cast<std::size_t>(world.cluster.ranks());
  RailRecount counts{Matrix(ranks, std::vector<double>(ranks)),
                     Matrix(ranks, std::vector<double>(ranks))};
  each_token(world, layer, [&](std::size_t source, const std::vector<std::size_t>& chosen) {
    std::set<std::size_t> nodes;
    for (const std::size_t rank : reach(source, chosen)) {
      const std::size_t node = rank / 8;
      const std::size_t gateway = node == source / 8 ? source : node * 8 + source % 8;
      if (gateway != source && nodes.insert(node).second) counts.rail[source][gateway] += 1;
      counts.local[gateway][rank] += 1;
    }
  });
  return counts;
}

std::set<std::size_t> as_chosen(std::size_t, const std::vector<std::size_t>& chosen) {
  return {chosen.begin(), chosen.end()};
}

const std::vector<StepCase>& cases() {
  static const std::vector<StepCase> all{
      {},
      {.choice = ReplicaChoice::nearest, .seed = 2},
      {.nodes = 4, .expert_parallel = 16, .tensor = 4, .seed = 3},
      {.nodes = 4, .redundant = 0, .expert_parallel = 8, .tensor = 2, .seed = 4}};
  return all;
}

}  // namespace

TEST_CASE("every algorithm sends back along the pairs it dispatched over") {
  for (const std::string& name : Catalog<AllToAllPart>::instance().names())
    for (const StepCase& c : cases()) {
      CAPTURE(name);
      const StepWorld world(c);
      const Directions both = traffic_of(name, world, count_all(world, true)[1]);
      REQUIRE(both.dispatch.size() == both.combine.size());
      for (std::size_t stage = 0; stage < both.dispatch.size(); ++stage) {
        const auto& there = both.dispatch[stage].legs;
        const auto& back = both.combine[both.combine.size() - 1 - stage].legs;
        REQUIRE(there.size() == back.size());
        for (std::size_t leg = 0; leg < there.size(); ++leg) {
          CHECK_FALSE(there[leg].transposed);
          CHECK(back[leg].transposed);
          CHECK(matrix_of(*there[leg].rows) == matrix_of(*back[leg].rows));
          CHECK(there[leg].row_bytes > 0);
          CHECK(back[leg].row_bytes >= 2 * 2880);  // gpt-oss-20b, bf16
        }
      }
    }
}

TEST_CASE("rows of copies, of ranks and of rails equal a recount token by token") {
  for (const StepCase& c : cases()) {
    const StepWorld world(c);
    const std::size_t layer = 2;
    const auto routed = count_all(world, true)[layer];
    const auto rows = [&](const char* name, std::size_t leg) {
      return matrix_of(*traffic_of(name, world, routed).dispatch.at(0).legs.at(leg).rows);
    };
    const Matrix copies = recount(world, layer);
    CHECK(rows("deepep_low_latency", 0) == copies);
    CHECK(rows("nccl_pairwise", 0) == copies);
    const Matrix by_rank = recount_tokens(world, layer).by_rank;
    CHECK(rows("nvlink_one_sided", 0) == by_rank);
    CHECK(rows("nvlink_two_sided", 0) == by_rank);
    const RailRecount chosen = recount_rails(world, layer, as_chosen);
    for (const char* name : {"deepep_normal", "deepep_v2", "hybridep"}) {
      CHECK(rows(name, 0) == chosen.rail);
      CHECK(rows(name, 1) == chosen.local);
    }
    const auto group = static_cast<std::size_t>(c.expert_parallel);
    const RailRecount all =
        recount_rails(world, layer, [&](std::size_t source, const std::vector<std::size_t>&) {
          std::set<std::size_t> reached;
          for (std::size_t rank = 0; rank < group; ++rank)
            reached.insert(source / group * group + rank);
          return reached;
        });
    CHECK(rows("allgather_reducescatter", 0) == all.rail);
    CHECK(rows("allgather_reducescatter", 1) == all.local);
  }
}

TEST_CASE("an all-gather brings every rank the tokens of all others of its group") {
  const StepWorld world(StepCase{.nodes = 4, .expert_parallel = 16, .seed = 6});
  const FabricPaths paths(world.cluster.fabric);
  const auto routed = count_all(world, true)[0];
  ExchangeInputs inputs;
  inputs.traffic = traffic_of("allgather_reducescatter", world, routed).dispatch.at(0);
  const Exchange exchange = make_exchange(paths, world.cluster.ranks(), inputs);
  const double row = inputs.traffic.legs[0].row_bytes;
  for (std::size_t rank = 0; rank < 32; ++rank) {
    double others = 0;
    for (std::size_t peer = rank / 16 * 16; peer < rank / 16 * 16 + 16; ++peer)
      if (peer != rank) others += routed->tokens[peer];
    CHECK(exchange.received[rank].value == doctest::Approx(others * row).epsilon(1e-12));
  }
}

TEST_CASE("low latency crosses rails and loads spines, normal mode keeps to its rail") {
  const StepWorld world(StepCase{.nodes = 4, .expert_parallel = 32, .seed = 7});
  const FabricPaths paths(world.cluster.fabric);
  const auto routed = count_all(world, true)[0];
  const auto spine_bytes = [&](const char* name) {
    const Directions both = traffic_of(name, world, routed);
    double bytes = 0;
    for (const auto* stages : {&both.dispatch, &both.combine})
      for (const ExchangeTraffic& stage : *stages) {
        ExchangeInputs inputs;
        inputs.traffic = stage;
        const Exchange exchange = make_exchange(paths, world.cluster.ranks(), inputs);
        for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link)
          if (world.cluster.fabric.links[link].tier == LinkTier::leaf_spine)
            bytes += exchange.link_bytes[link].value;
      }
    return bytes;
  };
  CHECK(spine_bytes("deepep_low_latency") > 0);
  CHECK(spine_bytes("nccl_pairwise") > 0);
  for (const char* name :
       {"deepep_normal", "deepep_v2", "hybridep", "hierarchical_2d", "allgather_reducescatter"})
    CHECK(spine_bytes(name) == 0);
}

TEST_CASE("normal mode across parts of nodes is refused by key") {
  StepWorld world(StepCase{.nodes = 3, .redundant = 16, .expert_parallel = 12});
  const auto routed = count_all(world, true)[0];
  for (const char* name : {"deepep_normal", "deepep_v2", "hybridep", "hierarchical_2d"})
    CHECK_THROWS_WITH_AS(traffic_of(name, world, routed), doctest::Contains("plan.expert_parallel"),
                         InputError);
}

TEST_CASE("rows over rails are 7472 B in fp8 and 14416 B in bf16 at hidden 7168, k 8") {
  const auto routed = std::make_shared<RoutedCopies>();
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at("deepep_normal", "all-to-all");
  ExchangeShape shape{7168, 64, 8, 256, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
  CHECK(part.dispatch(shape, routed)[0].legs[0].row_bytes == 7472);
  shape.dispatch = PayloadFormat::bf16;
  CHECK(part.dispatch(shape, routed)[0].legs[0].row_bytes == 14416);
  CHECK(row_bytes(7168, PayloadFormat::nvfp4) == 3584 + 448);
}

TEST_CASE("an exchange holds its algorithm's SMs unless the plan says how many, or none at all") {
  StepWorld world({});
  for (const auto& [name, entry] : Catalog<AllToAllPart>::instance().entries()) {
    const auto& shown = name;  // no lambda may capture a structured binding
    CAPTURE(shown);
    const int own = entry.part.default_sms;
    world.plan.exchange_sms = 0;
    CHECK(shape_of(entry.part, world).sms == own);
    world.plan.exchange_sms = 10;
    CHECK(shape_of(entry.part, world).sms == (own > 0 ? 10 : 0));
  }
  const auto& catalog = Catalog<AllToAllPart>::instance();
  CHECK(catalog.at("deepep_normal", "all-to-all").default_sms == 24);
  CHECK(catalog.at("deepep_low_latency", "all-to-all").default_sms == 0);
}

TEST_CASE("normal mode's queues are one channel for two SMs") {
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at("deepep_normal", "all-to-all");
  ExchangeShape shape{7168, 64, 8, 256, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16, 20};
  // 10 channels: 256 rows for each of 8 peers, 2 x 128 for each of 8 nodes, 14416 B each.
  CHECK(part.buffer_bytes(shape).value == 10 * (256 * 8 + 2 * 128 * 8) * 14416.0);
  shape.ranks = 8;
  CHECK(part.buffer_bytes(shape).value == 10 * 256 * 8 * 14416.0);
  shape.sms = 24;
  CHECK(part.buffer_bytes(shape).value == 12 * 256 * 8 * 14416.0);
}
