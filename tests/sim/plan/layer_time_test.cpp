// The time that topology_aware minimises against the simulator's link loads, and what it wins where
// links or GPUs are unlike.
#include "sim/plan/placement/layer_time.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/plan/link_loads.h"
#include "tests/sim/plan/step_fixture.h"

namespace moesim {
namespace {

using test::make_cluster;

PlacementInput input_for(const Fabric& fabric, int experts, int slots) {
  PlacementInput input;
  Random random(19);
  for (int layer = 0; layer < 3; ++layer) {
    input.load.emplace_back();
    for (int expert = 0; expert < experts; ++expert)
      input.load.back().push_back(std::round(1000 * std::exp(0.8 * random.normal())));
  }
  input.slots = slots;
  input.ranks = fabric.ranks;
  input.nodes = fabric.nodes();
  input.cluster.fabric = &fabric;
  input.cluster.dispatch = {7000, 0.8, 0.9};
  input.cluster.combine = {14000, 0.8, 0.9};
  input.cluster.step_copies = 4096 * fabric.ranks;
  return input;
}

double slowest(const FabricPaths& paths,
               const RowCounts& rows,
               const PlacementCluster::Way& way,
               bool transposed) {
  ExchangeInputs inputs;
  inputs.algorithm = "test";
  inputs.traffic.legs = {{std::make_shared<RowCounts>(rows), way.row_bytes, transposed}};
  inputs.timing.protocol = {Seconds{}, way.nvlink_efficiency, way.nic_efficiency};
  const Exchange exchange = make_exchange(paths, static_cast<int>(paths.ranks()), inputs);
  return std::max_element(exchange.transfer.begin(), exchange.transfer.end())->count();
}

double layer_seconds(const PlacementInput& input, const Placement& placement, std::size_t layer) {
  std::vector<double> load =
      rank_load(placement, input.load[layer], static_cast<std::size_t>(input.ranks));
  double copies = 0;
  for (const double one : load) copies += one;
  for (double& one : load) one *= input.cluster.step_copies / copies;
  return LayerTime::State(LayerTime(input), load).seconds();
}

void slow_down(Fabric& fabric, const std::string& name, double ratio) {
  apply_link_health(fabric, {{name, ratio, {}}});
}

}  // namespace

TEST_CASE("the time of links is that of the simulator's exchanges for equal sources") {
  Cluster cluster = make_cluster(3);
  slow_down(cluster.fabric, "nic 7", 0.5);
  const PlacementInput input = input_for(cluster.fabric, 48, 48);
  const FabricPaths paths(cluster.fabric);
  Random random(3);
  for (int round = 0; round < 5; ++round) {
    std::vector<double> load;
    std::vector<std::uint32_t> rows(24 * 24);
    for (std::size_t rank = 0; rank < 24; ++rank) {
      const auto each = static_cast<std::uint32_t>(random.below(500));
      load.push_back(24.0 * each);
      for (std::size_t source = 0; source < 24; ++source) rows[source * 24 + rank] = each;
    }
    const RowCounts counts = RowCounts::of_matrix(rows, 24);
    const double expected = slowest(paths, counts, input.cluster.dispatch, false) +
                            slowest(paths, counts, input.cluster.combine, true);
    CHECK(LayerTime::State(LayerTime(input), load).seconds() ==
          doctest::Approx(expected).epsilon(1e-9));
  }
}

TEST_CASE("adding loads one by one gives the state of their sum") {
  const Cluster cluster = make_cluster(2);
  const LayerTime time(input_for(cluster.fabric, 32, 32));
  LayerTime::State state(time, std::vector<double>(16, 5));
  for (std::size_t rank = 0; rank < 16; ++rank) state.add(rank, static_cast<double>(rank) * 3);
  std::vector<double> sum;
  for (int rank = 0; rank < 16; ++rank) sum.push_back(5 + rank * 3.0);
  CHECK(state.load() == sum);
  CHECK(state.seconds() == doctest::Approx(LayerTime::State(time, sum).seconds()).epsilon(1e-12));
}

TEST_CASE("topology_aware is never slower than eplb on its own time, and faster on sick links") {
  for (const bool sick : {false, true}) {
    Cluster cluster = make_cluster(2);
    if (sick) slow_down(cluster.fabric, "nic 3", 0.5);
    const PlacementInput input = input_for(cluster.fabric, 64, 80);
    const auto& catalog = Catalog<PlacementPart>::instance();
    const auto search = catalog.at("topology_aware", "placement")(input);
    const auto eplb = catalog.at("eplb", "placement")(input);
    for (std::size_t layer = 0; layer < search.size(); ++layer) {
      const double own = layer_seconds(input, search[layer], layer);
      const double other = layer_seconds(input, eplb[layer], layer);
      CHECK(own <= other);
      if (sick) CHECK(own < 0.8 * other);  // the sick NIC bounds a balanced placement
    }
  }
}

TEST_CASE("topology_aware gives a slow GPU less to do") {
  Cluster cluster = make_cluster(1);
  cluster.slow.assign(8, 1.0);
  cluster.slow[2] = 2;
  const MoeModel model = load_model("deepseek-v3");
  const RankCosts costs(model, cluster, {8, 8, 1}, {});
  PlacementInput input = input_for(cluster.fabric, 64, 72);
  input.cluster.costs = &costs;
  input.cluster.step_copies = 4e6;  // compute-bound experts
  input.cluster.dispatch.row_bytes = input.cluster.combine.row_bytes = 1;
  const auto placements =
      Catalog<PlacementPart>::instance().at("topology_aware", "placement")(input);
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    const std::vector<double> load = rank_load(placements[layer], input.load[layer], 8);
    double others = 0;
    for (std::size_t rank = 0; rank < 8; ++rank) others += rank == 2 ? 0 : load[rank] / 7;
    CHECK(load[2] < 0.6 * others);
    CHECK(load[2] > 0.4 * others);
  }
}

}  // namespace moesim
