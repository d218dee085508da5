// All-to-all algorithms: bytes, messages and buffers by closed form; timing constants against the
// records they were fitted on.
#include "sim/plan/all_to_all.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/io/files.h"
#include "sim/io/json_reader.h"

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

double low_latency_time(const JsonNode& row, const std::string& direction, bool within_node) {
  const ExchangeTiming timing =
      exchange_timing("deepep_low_latency", direction, within_node, "h800-sxm");
  const double ranks = number(row, 0), copies = number(row, 3) * number(row, 4);
  ExchangeShape shape = deepseek_shape();
  shape.hidden = row.items()[2].as_int(1, 100000);
  shape.ranks = static_cast<int>(ranks);
  shape.physical_experts = static_cast<int>(number(row, 5));
  const AllToAllPart& algorithm = part("deepep_low_latency");
  const ExchangeTraffic traffic =
      direction == "dispatch" ? algorithm.dispatch(shape) : algorithm.combine(shape);
  const double remote = within_node ? (ranks - 1) / ranks : (ranks - 8) / ranks;
  const double messages = copies * (ranks - 1) / ranks * traffic.messages_per_copy +
                          (ranks - 1) * traffic.messages_per_peer;
  const double transfer = copies * traffic.bytes_per_copy * remote / rate(row) / timing.efficiency;
  return timing.fixed.count() + timing.per_expert.count() * shape.physical_experts +
         (within_node ? 3.33e-6 : 3.7e-6) +
         std::max(messages * timing.per_message.count(), transfer);
}

}  // namespace

TEST_CASE("a low-latency message has 16 bytes before its row: 7408 B at hidden 7168 in fp8") {
  const ExchangeTraffic dispatch = part("deepep_low_latency").dispatch(deepseek_shape());
  CHECK(dispatch.bytes_per_copy == 16 + 7168 + 4 * 7168 / 128);
  CHECK(dispatch.bytes_per_copy == 7408);
  CHECK_FALSE(dispatch.transposed);
  CHECK(dispatch.messages_per_copy == 1);
  CHECK(dispatch.messages_per_peer * 64 == 256);  // one count write per expert
  ExchangeShape bf16 = deepseek_shape();
  bf16.dispatch = PayloadFormat::bf16;
  CHECK(part("deepep_low_latency").dispatch(bf16).bytes_per_copy == 16 + 2 * 7168);
  const ExchangeTraffic combine = part("deepep_low_latency").combine(deepseek_shape());
  CHECK(combine.bytes_per_copy == 2 * 7168);
  CHECK(combine.transposed);
}

TEST_CASE("nccl_pairwise sends bare rows, one message to each peer") {
  const ExchangeTraffic dispatch = part("nccl_pairwise").dispatch(deepseek_shape());
  CHECK(dispatch.bytes_per_copy == 7168 + 4 * 56);
  CHECK(dispatch.messages_per_copy == 0);
  CHECK(dispatch.messages_per_peer == 1);
  CHECK(part("nccl_pairwise").combine(deepseek_shape()).bytes_per_copy == 2 * 7168);
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
        const ExchangeTiming timing = exchange_timing(name, direction, within_node, "h100-sxm");
        CHECK(timing.fixed.count() > 0);
        CHECK(timing.fixed.count() < 1e-3);
        CHECK(timing.efficiency > 0.1);
        CHECK_FALSE(timing.source.empty());
      }
  CHECK_THROWS_AS(exchange_timing("deepep_low_latncy", "dispatch", true, "h800-sxm"), InputError);
}

TEST_CASE("exchange constants are calibrated on the accelerators they were measured on only") {
  const auto basis = [](const std::string& name, bool within_node, const std::string& accelerator) {
    return exchange_timing(name, "combine", within_node, accelerator).basis;
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
        for (const JsonNode& row : root.at("records").at(set.as_string()).at("rows").items())
          residual.add(low_latency_time(row, direction, within_node) * 1e6, number(row, column));
      CAPTURE(direction);
      CHECK(residual.rms() == doctest::Approx(stated.at("residual_rms").as_number()).epsilon(0.1));
      CHECK(residual.worst ==
            doctest::Approx(stated.at("residual_worst").as_number()).epsilon(0.1));
      CHECK(residual.rms() < 0.08);
    }
    ++column;
  }
}
