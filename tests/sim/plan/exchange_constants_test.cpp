// Constants of topologies/calibration/all_to_all.json against the records they name, with bytes and
// messages from the algorithms themselves.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/plan/collective.h"

using namespace moesim;

namespace {

JsonNode calibration() {
  return read_json_file(data_path("topologies/calibration/all_to_all.json"));
}

double number(const JsonNode& row, std::size_t column) { return row.items()[column].as_number(); }

double rate(const JsonNode& row) { return row.items()[1].as_bytes_per_second().value; }

// Of one of a collective's protocols: `of` holds fixed and efficiency.
double protocol_time(const JsonNode& of, double issue, double line_time) {
  return of.at("fixed").as_seconds().count() +
         std::max(issue, line_time / of.at("efficiency").as_ratio(0, 1));
}

// The faster protocol of the collective on one record's ranks, line rate and bytes; us.
double collective_time(const JsonNode& constants, const std::string& name, const JsonNode& row) {
  const int ranks = static_cast<int>(number(row, 0));
  const ExchangeTraffic traffic =
      Catalog<CollectivePart>::instance()
          .at(name, "collective")
          .traffic(even_shares(ranks, ranks, ranks, Bytes(number(row, 2))));
  double sent = 0;
  for (const Leg& leg : traffic.legs)
    for (const auto [destination, rows] : leg.rows->of(0))
      if (destination != 0) sent += rows * leg.row_bytes;
  const double issue =
      traffic.messages_per_peer * (ranks - 1) * constants.at("per_message").as_seconds().count();
  const double line_time = sent / rate(row);
  return 1e6 * (constants.at("path_latency").as_seconds().count() +
                std::min(protocol_time(constants, issue, line_time),
                         protocol_time(constants.at("second_protocol"), issue, line_time)));
}

struct Residuals {
  std::vector<double> of;
  double rms() const {
    double squares = 0;
    for (const double one : of) squares += one * one;
    return std::sqrt(squares / static_cast<double>(of.size()));
  }
  double median() const {
    std::vector<double> sizes;
    for (const double one : of) sizes.push_back(std::abs(one));
    std::sort(sizes.begin(), sizes.end());
    return (sizes[(sizes.size() - 1) / 2] + sizes[sizes.size() / 2]) / 2;
  }
  double worst() const {
    return *std::max_element(of.begin(), of.end(),
                             [](double a, double b) { return std::abs(a) < std::abs(b); });
  }
};

// Rows that a rank of one full node sends to others under uniform routing.
double rows_to_others(const JsonNode& row) {
  return number(row, 3) * number(row, 7) * (number(row, 0) - 1) / number(row, 0);
}

double row_of(const std::string& name, const std::string& direction, const ExchangeShape& shape) {
  const auto routed = std::make_shared<RoutedCopies>();
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at(name, "all-to-all");
  return (direction == "dispatch" ? part.dispatch : part.combine)(shape, routed)[0]
      .legs[1]
      .row_bytes;
}

// us on `row` when the issue time of a row is that of the constants times `slower`.
double exchange_time(const std::string& name,
                     const std::string& direction,
                     PayloadFormat format,
                     const JsonNode& row,
                     double slower) {
  const JsonNode constants =
      calibration().at("algorithms").at(name).at(direction).at("within_node");
  const ExchangeShape shape{7168, 8,   8,      static_cast<int>(number(row, 5)),
                            8,    128, format, PayloadFormat::bf16};
  const double rows = rows_to_others(row);
  const double line_time = rows * row_of(name, direction, shape) / rate(row);
  const double issue = slower * rows * constants.at("per_message").as_seconds().count();
  return 1e6 * (3.33e-6 + protocol_time(constants, issue, line_time));
}

// us that logical bandwidth stands for: rows to every rank, the own included, without headers.
double measured_time(const JsonNode& row, double row_bytes, double gigabytes_per_second) {
  return number(row, 3) * number(row, 7) * row_bytes / gigabytes_per_second * 1e-3;
}

}  // namespace

TEST_CASE("NCCL's two protocols leave the residuals they state") {
  struct Case {
    std::string algorithm, direction, collective;
    double most;  // median
  };
  for (const Case& c : {Case{"nccl_pairwise", "combine", "all_to_all", 0.10},
                        Case{"nccl_tensor_parallel", "all_gather", "all_gather", 0.10},
                        Case{"nccl_tensor_parallel", "reduce_scatter", "reduce_scatter", 0.13},
                        Case{"nccl_allreduce", "allreduce", "allreduce_in_network", 0.14},
                        Case{"nccl_allreduce", "ring", "allreduce_ring", 0.11}}) {
    const JsonNode root = calibration();
    const JsonNode constants =
        root.at("algorithms").at(c.algorithm).at(c.direction).at("within_node");
    Residuals residuals;
    for (const JsonNode& set : constants.at("records").items())
      for (const JsonNode& row : root.at("records").at(set.as_string()).at("rows").items())
        residuals.of.push_back(collective_time(constants, c.collective, row) / number(row, 3) - 1);
    CAPTURE(c.collective);
    CHECK(std::abs(residuals.rms() - constants.at("residual_rms").as_number()) < 0.0006);
    CHECK(std::abs(residuals.median() - constants.at("residual_median").as_number()) < 0.0006);
    CHECK(std::abs(residuals.worst() - constants.at("residual_worst").as_number()) < 0.0006);
    CHECK(residuals.median() < c.most);
  }
}

TEST_CASE("the same NCCL call has the same constants wherever it stands") {
  const JsonNode algorithms = calibration().at("algorithms");
  for (const auto& [direction, call] :
       {std::pair{"dispatch", "all_gather"}, std::pair{"combine", "reduce_scatter"}})
    for (const bool within_node : {true, false}) {
      const ExchangeTiming exchange =
          exchange_timing({"allgather_reducescatter", direction, within_node, "h200-sxm"});
      const ExchangeTiming tensor =
          exchange_timing({"nccl_tensor_parallel", call, within_node, "h200-sxm"});
      CHECK(exchange.protocol.fixed == tensor.protocol.fixed);
      CHECK(exchange.protocol.nic_efficiency == tensor.protocol.nic_efficiency);
      CHECK(exchange.protocol.nvlink_efficiency == tensor.protocol.nvlink_efficiency);
    }
}

TEST_CASE("every collective has constants for both reaches") {
  for (const auto& [name, entry] : Catalog<CollectivePart>::instance().entries())
    for (const bool within_node : {true, false}) {
      const auto& shown = name;  // no lambda may capture a structured binding
      CAPTURE(shown);
      const ExchangeTiming timing =
          exchange_timing({entry.part.timing, entry.part.direction, within_node, "h200-sxm"});
      CHECK(timing.protocol.fixed.count() > 0);
      CHECK(timing.protocol.nvlink_efficiency < 0.8);
    }
}

TEST_CASE("DeepEP V2's constants give its README's times at 24 SMs and, issuing faster, at 64") {
  const auto rows = calibration().at("records").at("deepep_v2_b200").at("rows").items();
  for (const JsonNode& row : rows) {
    const double slower = std::pow(24 / number(row, 6), 0.89);
    CHECK(exchange_time("deepep_v2", "dispatch", PayloadFormat::fp8, row, slower) ==
          doctest::Approx(measured_time(row, 7168 + 4 * 56, number(row, 8))).epsilon(0.003));
    CHECK(exchange_time("deepep_v2", "combine", PayloadFormat::fp8, row, slower) ==
          doctest::Approx(measured_time(row, 2 * 7168, number(row, 9))).epsilon(0.003));
  }
}

TEST_CASE("HybridEP's constants give its document's kernel times") {
  const JsonNode row = calibration().at("records").at("hybridep_b200").at("rows").items()[0];
  const auto time = [&](const std::string& direction, PayloadFormat format) {
    return exchange_time("hybridep", direction, format, row, 1);
  };
  CHECK(time("dispatch", PayloadFormat::fp8) ==
        doctest::Approx(measured_time(row, 7168 + 4 * 56, number(row, 8))).epsilon(0.003));
  CHECK(time("dispatch", PayloadFormat::bf16) ==
        doctest::Approx(measured_time(row, 2 * 7168, number(row, 9))).epsilon(0.003));
  CHECK(time("combine", PayloadFormat::bf16) ==
        doctest::Approx(measured_time(row, 2 * 7168, number(row, 10))).epsilon(0.003));
}

TEST_CASE("rows of DeepEP V2 and HybridEP bring their metadata") {
  ExchangeShape shape{7168, 8, 8, 64, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
  // Values 7168, scales 224, of 8 choices 8 * 8 + 4 * 9 = 100, each to full 32 B.
  CHECK(row_of("deepep_v2", "dispatch", shape) == 7168 + 224 + 128);
  CHECK(row_of("deepep_v2", "combine", shape) == 2 * 7168 + 64);
  CHECK(row_of("hybridep", "dispatch", shape) == 7168 + 224 + 4 * 64);
  CHECK(row_of("hybridep", "combine", shape) == 2 * 7168);
  shape.dispatch = PayloadFormat::bf16;
  CHECK(row_of("deepep_v2", "dispatch", shape) == 2 * 7168 + 128);
  shape.ranks = 16;  // half of the experts lie in a node
  CHECK(row_of("hybridep", "dispatch", shape) == 2 * 7168 + 4 * 32);
}

TEST_CASE("DeepEP V2's buffers hold every token of the group") {
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at("deepep_v2", "all-to-all");
  const double workspace = 16.0 * (1 << 20), step = 2.0 * (1 << 20);
  ExchangeShape shape{7168, 8, 8, 256, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
  // Combine is the larger: min(P, k) M rows of 14400 B.
  CHECK(part.buffer_bytes(shape).value == step * std::ceil(8 * 128 * 14400 / step) + workspace);
  shape.dispatch = PayloadFormat::bf16;  // P M rows of 14464 B
  CHECK(part.buffer_bytes(shape).value == step * std::ceil(8 * 128 * 14464 / step) + workspace);
  shape.ranks = 64;
  // Over NVLink min(G, k) N M, over the network min(N, k) M back and N (M + 1280) out.
  const double combine = 8.0 * 8 * 128 + 8 * 128 + 8 * (128 + 1280);
  CHECK(part.buffer_bytes(shape).value == step * std::ceil(combine * 14400 / step) + workspace);
}

TEST_CASE("HybridEP's buffers hold every token of the group twice, and other nodes' on their way") {
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at("hybridep", "all-to-all");
  ExchangeShape shape{7168, 8, 8, 64, 8, 128, PayloadFormat::fp8, PayloadFormat::bf16};
  const double in = 7392 + 4 * 64, out = 14336 + 4 * 64;
  CHECK(part.buffer_bytes(shape).value == 128 * 8 * (in + out));
  shape.ranks = 32;
  shape.physical_experts = 256;  // 64 of a node, as before
  CHECK(part.buffer_bytes(shape).value ==
        128 * 32 * (in + out) + 128 * (7392 + 4 * 256 + 3 * (in + 2 * out)));
}
