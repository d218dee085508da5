// All-to-all algorithms: bytes, messages and buffers by closed form; timing constants against the
// records they were fitted on.
#include "sim/plan/all_to_all.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/plan/link_loads.h"

using namespace moesim;

namespace {

ExchangeShape deepseek_shape() {
  return {7168, 64, 8, 256, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
}

const AllToAllPart& part(const char* name) {
  return Catalog<AllToAllPart>::instance().at(name, "all-to-all");
}

double number(const JsonNode& row, std::size_t column) { return row.items()[column].as_number(); }

double rate(const JsonNode& row) { return row.items()[1].as_bytes_per_second().value; }

// The one stage of an algorithm that needs no counts.
ExchangeTraffic traffic_of(const AllToAllPart& part,
                           const std::string& direction,
                           const ExchangeShape& shape) {
  const auto routed = std::make_shared<RoutedCopies>();
  return (direction == "dispatch" ? part.dispatch : part.combine)(shape, routed).at(0);
}

// Mean square of the low-latency model's relative error over one set of records.
struct Residual {
  double squares = 0, worst = 0;
  int rows = 0;
  void add(double model, double measured) {
    const double error = model / measured - 1;
    squares += error * error;
    if (std::abs(error) > std::abs(worst)) worst = error;
    ++rows;
  }
  double rms() const { return std::sqrt(squares / rows); }
};

// busiest_link: bytes of the busiest link over the mean of all.
double low_latency_time(const JsonNode& row,
                        const std::string& direction,
                        bool within_node,
                        double busiest_link) {
  const ExchangeTiming timing =
      exchange_timing({"deepep_low_latency", direction, within_node, "h800-sxm"});
  const double ranks = number(row, 0), copies = number(row, 3) * number(row, 4);
  ExchangeShape shape = deepseek_shape();
  shape.hidden = row.items()[2].as_int(1, 100000);
  shape.ranks = static_cast<int>(ranks);
  shape.physical_experts = static_cast<int>(number(row, 5));
  const AllToAllPart& algorithm = part("deepep_low_latency");
  const ExchangeTraffic traffic = traffic_of(algorithm, direction, shape);
  const double remote = within_node ? (ranks - 1) / ranks : (ranks - 8) / ranks;
  const double messages = copies * (ranks - 1) / ranks * traffic.messages_per_row +
                          (ranks - 1) * traffic.messages_per_peer;
  const double bytes = copies * traffic.legs.front().row_bytes * remote * busiest_link;
  const double transfer = bytes / rate(row) / timing.protocol.nic_efficiency;
  return timing.protocol.fixed.count() + timing.per_expert.count() * shape.physical_experts +
         (within_node ? 3.33e-6 : 3.7e-6) +
         std::max(messages * timing.per_message.count(), transfer);
}

FabricPaths record_paths(int ranks) {
  ClusterSpec spec = load_cluster_preset("h800-ib");
  spec.options.nodes = std::max(1, ranks / 8);
  spec.options.gpus_per_node = std::min(8, ranks);
  return FabricPaths(build_cluster(spec).fabric);
}

// Every token of every rank takes top_k distinct experts, all alike.
RowCounts random_copies(const JsonNode& row, Random& random) {
  const auto ranks = static_cast<std::size_t>(number(row, 0));
  const auto tokens = static_cast<std::size_t>(number(row, 3));
  const auto top_k = static_cast<std::size_t>(number(row, 4));
  const auto experts = static_cast<std::size_t>(number(row, 5));
  std::vector<std::uint32_t> copies(ranks * ranks);
  std::vector<std::size_t> order(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t token = 0; token < ranks * tokens; ++token)
    for (std::size_t choice = 0; choice < top_k; ++choice) {
      std::swap(order[choice], order[choice + random.below(experts - choice)]);
      ++copies[token / tokens * ranks + order[choice] / (experts / ranks)];
    }
  return RowCounts::of_matrix(copies, ranks);
}

struct BusiestLink {  // over the mean of all links: averaged over ranks, on the worst rank
  double average = 0, worst = 0;
};

BusiestLink busiest_link(const JsonNode& row, bool transposed) {
  constexpr int kDraws = 100;
  const auto ranks = static_cast<int>(number(row, 0));
  const FabricPaths paths = record_paths(ranks);
  const double remote = ranks <= 8 ? (ranks - 1.0) / ranks : (ranks - 8.0) / ranks;
  double line = paths.bandwidth()[0];
  for (const double bandwidth : paths.bandwidth()) line = std::min(line, bandwidth);
  const double mean = number(row, 3) * number(row, 4) * remote / line * kDraws;
  ExchangeInputs inputs;
  inputs.traffic.messages_per_row = 1;
  Random random = Random::named(1, "busiest link");
  BusiestLink link;
  for (int draw = 0; draw < kDraws; ++draw) {
    inputs.traffic.legs = {
        {std::make_shared<RowCounts>(random_copies(row, random)), 1, transposed}};
    const Exchange exchange = make_exchange(paths, ranks, inputs);
    double worst = 0;
    for (const Seconds transfer : exchange.transfer) {
      link.average += transfer.count() / ranks / mean;
      worst = std::max(worst, transfer.count());
    }
    link.worst += worst / mean;
  }
  return link;
}

}  // namespace

TEST_CASE("a low-latency message has 16 bytes before its row: 7408 B at hidden 7168 in fp8") {
  const ExchangeTraffic dispatch =
      traffic_of(part("deepep_low_latency"), "dispatch", deepseek_shape());
  CHECK(dispatch.legs[0].row_bytes == 16 + 7168 + 4 * 7168 / 128);
  CHECK(dispatch.legs[0].row_bytes == 7408);
  CHECK_FALSE(dispatch.legs[0].transposed);
  CHECK(dispatch.messages_per_row == 1);
  CHECK(dispatch.messages_per_peer * 64 == 256);  // one count write per expert
  ExchangeShape bf16 = deepseek_shape();
  bf16.dispatch = PayloadFormat::bf16;
  CHECK(traffic_of(part("deepep_low_latency"), "dispatch", bf16).legs[0].row_bytes ==
        16 + 2 * 7168);
  const ExchangeTraffic combine =
      traffic_of(part("deepep_low_latency"), "combine", deepseek_shape());
  CHECK(combine.legs[0].row_bytes == 2 * 7168);
  CHECK(combine.legs[0].transposed);
}

TEST_CASE("nccl_pairwise sends bare rows, one message to each peer") {
  const ExchangeTraffic dispatch = traffic_of(part("nccl_pairwise"), "dispatch", deepseek_shape());
  CHECK(dispatch.legs[0].row_bytes == 7168 + 4 * 56);
  CHECK(dispatch.messages_per_row == 0);
  CHECK(dispatch.messages_per_peer == 1);
  CHECK(traffic_of(part("nccl_pairwise"), "combine", deepseek_shape()).legs[0].row_bytes ==
        2 * 7168);
  CHECK(row_bytes(2880, PayloadFormat::fp8) == 2880 + 4 * 23);  // 22.5 blocks: 23 scales
}

TEST_CASE("low-latency buffers take 1.88 GB for 256 experts and 128 tokens") {
  const double slots = 256.0 * 128;
  const double expected = 2 * (slots * 14336 + slots * (16 + 14336)) + 2 * 4 * 256;
  CHECK(part("deepep_low_latency").buffer_bytes(deepseek_shape()).value == expected);
  CHECK(expected == doctest::Approx(1.88e9).epsilon(0.001));
}

TEST_CASE("nccl buffers hold the rows sent and the most that can arrive") {
  // 64 ranks of 4 experts: a token sends at most 4 of its 8 copies to one rank.
  const double rows = 128.0 * 8 + 64.0 * 128 * 4;
  CHECK(part("nccl_pairwise").buffer_bytes(deepseek_shape()).value == rows * 14336);
}

TEST_CASE("every algorithm has timing constants for both directions and reaches") {
  for (const std::string& name : Catalog<AllToAllPart>::instance().names())
    for (const char* direction : {"dispatch", "combine"})
      for (const bool within_node : {true, false}) {
        CAPTURE(name);
        const ExchangeTiming timing = exchange_timing({name, direction, within_node, "h100-sxm"});
        CHECK(timing.protocol.fixed.count() > 0);
        CHECK(timing.protocol.fixed.count() < 1e-3);
        CHECK(timing.protocol.nic_efficiency > 0.1);
        CHECK_FALSE(timing.source.empty());
      }
  CHECK_THROWS_AS(exchange_timing({"deepep_low_latncy", "dispatch", true, "h800-sxm"}), InputError);
}

TEST_CASE("exchange constants are calibrated on the accelerators they were measured on only") {
  const auto basis = [](const std::string& name, bool within_node, const std::string& accelerator) {
    return exchange_timing({name, "combine", within_node, accelerator}).basis;
  };
  CHECK(basis("deepep_low_latency", false, "h800-sxm") == Basis::calibrated);
  CHECK(basis("deepep_low_latency", false, "b200-sxm") == Basis::transferred);
  CHECK(basis("deepep_low_latency", true, "b200-sxm") == Basis::calibrated);
  CHECK(basis("deepep_low_latency", true, "h200-sxm") == Basis::transferred);
  CHECK(basis("nccl_pairwise", true, "h200-sxm") == Basis::calibrated);
  CHECK(basis("nccl_pairwise", false, "h200-sxm") == Basis::transferred);
}

TEST_CASE("low-latency constants leave the residuals they state") {
  const JsonNode root = read_json_file(data_path("topologies/calibration/all_to_all.json"));
  const JsonNode directions = root.at("algorithms").at("deepep_low_latency");
  std::size_t column = 6;
  for (const std::string direction : {"dispatch", "combine"}) {
    for (const bool within_node : {true, false}) {
      const JsonNode stated =
          directions.at(direction).at(within_node ? "within_node" : "across_nodes");
      Residual residual;
      for (const JsonNode& set : stated.at("records").items())
        for (const JsonNode& row : root.at("records").at(set.as_string()).at("rows").items()) {
          const double time =
              low_latency_time(row, direction, within_node, number(row, column + 2));
          residual.add(time * 1e6, number(row, column));
        }
      CAPTURE(direction);
      CAPTURE(within_node);
      CHECK(std::abs(residual.rms() - stated.at("residual_rms").as_number()) < 0.0006);
      CHECK(std::abs(residual.worst - stated.at("residual_worst").as_number()) < 0.0006);
      CHECK(residual.rms() < 0.08);
    }
    ++column;
  }
}

TEST_CASE("records have the busiest link of uniform random routing; the worst rank is above them") {
  const JsonNode records =
      read_json_file(data_path("topologies/calibration/all_to_all.json")).at("records");
  for (const std::string set : {"deepep_ll_h800_node", "deepep_ll_gb200", "deepep_ll_h800_ib"})
    for (const JsonNode& row : records.at(set).at("rows").items())
      for (const bool combine : {false, true}) {
        const std::size_t column = combine ? 7 : 6;
        const BusiestLink link = busiest_link(row, combine);
        CAPTURE(set);
        CAPTURE(column);
        CAPTURE(number(row, 0));
        CHECK(std::abs(link.average - number(row, column + 2)) < 0.006);
        CHECK(link.average < link.worst);
        if (set != "deepep_ll_h800_ib") continue;
        const double critical =
            low_latency_time(row, combine ? "combine" : "dispatch", false, link.worst) * 1e6;
        CHECK(critical > number(row, column));
        CHECK(critical < 1.05 * number(row, column));
      }
}
