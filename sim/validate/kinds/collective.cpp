// collective: what nccl-tests measures, on the ranks of one group.
#include "sim/plan/collective.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/validate/prediction.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

constexpr double kFlatSize = 4.0 * 1024 * 1024 * 1024;  // B; where a peak over sizes is reached

struct NcclTest {
  std::string collective;  // of the catalog; empty: the allreduce NCCL would take
  double bus_factor = 1;   // bus bandwidth over algorithm bandwidth, times n / (n - 1)
};

const std::map<std::string, NcclTest>& nccl_tests() {
  static const std::map<std::string, NcclTest> tests{{"nccl_alltoall", {"all_to_all", 1}},
                                                     {"nccl_allgather", {"all_gather", 1}},
                                                     {"nccl_reducescatter", {"reduce_scatter", 1}},
                                                     {"nccl_allreduce", {"", 2}}};
  return tests;
}

// A collective on one group of all the cluster's ranks.
struct RecordedCollective {
  Cluster cluster;
  FabricPaths paths;
  CollectiveShape shape;
  std::string collective;
  TimingQuery query;
  double bytes = 0, bus_factor = 1;

  RecordedCollective(const JsonNode& typed, const NcclTest& test, const std::string& calibration)
      : cluster(cluster_of(typed)), paths(cluster.fabric) {
    cluster.spec.calibration = calibration;
    const int ranks = cluster.ranks();
    bytes = number_of(typed, "message_bytes", kFlatSize);
    shape = even_shares(ranks, ranks, cluster.fabric.ranks_per_node, Bytes(bytes));
    collective = test.collective.empty() ? nccl_allreduce(cluster, paths, shape) : test.collective;
    const CollectivePart& part = Catalog<CollectivePart>::instance().at(collective, "collective");
    query = {part.timing,
             part.direction,
             ranks <= cluster.fabric.ranks_per_node,
             cluster.accelerator.name,
             cluster.spec.cpu_proxy,
             cluster.spec.calibration};
    bus_factor = test.bus_factor * (ranks - 1) / ranks;
  }

  Exchange exchange(const ExchangeTiming& timing, const ExchangeTraffic& traffic) const {
    ExchangeInputs inputs;
    inputs.algorithm = collective;
    inputs.traffic = traffic;
    inputs.timing = timing;
    inputs.peers = cluster.ranks() - 1;
    return make_exchange(paths, cluster.ranks(), inputs);
  }
  ExchangeTraffic traffic() const {
    return Catalog<CollectivePart>::instance().at(collective, "collective").traffic(shape);
  }
};

// The record's value as the time it stands for.
Seconds measured(const JsonNode& typed, const RecordedCollective& recorded) {
  const double value = typed.at("value").as_number();
  const std::string quantity = typed.at("quantity").as_string();
  if (quantity == "time") return Seconds(value * 1e-6);
  const double factor = quantity == "bus_bandwidth" ? recorded.bus_factor : 1;
  return Seconds(factor * recorded.bytes / (value * 1e9));
}

std::string refusal(const JsonNode& typed) {
  const std::string algorithm = typed.at("algorithm").as_string();
  if (nccl_tests().count(algorithm) == 0)
    return "no collective of this project stands for \"" + algorithm + "\"";
  const std::string quantity = typed.at("quantity").as_string();
  if (quantity != "time" && quantity != "bus_bandwidth" && quantity != "algorithm_bandwidth")
    return "quantity \"" + quantity + "\" is none that a collective has";
  if (typed.at("ranks").as_int(1, 1 << 20) < 2) return "a collective of one rank";
  if (const auto bytes = typed.find("message_bytes"); bytes && !(bytes->as_number() > 0))
    bytes->fail("must be above 0");
  if (quantity == "time" && !typed.find("message_bytes")) return "a time without message_bytes";
  return "";
}

std::string size_text(double bytes) {
  if (bytes >= 1048576) return fmt::format("{:g} MiB", bytes / 1048576);
  return fmt::format("{:g} KiB", bytes / 1024);
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  if (const std::string reason = refusal(typed); !reason.empty()) return Unmapped{reason};
  const RecordedCollective recorded(typed, nccl_tests().at(typed.at("algorithm").as_string()),
                                    calibration);
  const ExchangeTiming timing = exchange_timing(recorded.query);
  const Exchange exchange = recorded.exchange(timing, recorded.traffic());
  Prediction prediction;
  prediction.what = recorded.collective;
  prediction.conditions = machine_text(typed) + ", " + size_text(recorded.bytes);
  prediction.basis = timing.basis;
  prediction.predicted = prediction.uniform = exchange_time(exchange);  // it is uniform
  prediction.at_line_rate = exchange.port_bound;
  prediction.measured = measured(typed, recorded);
  const double ratio = prediction.measured / prediction.predicted;
  const bool is_time = typed.at("quantity").as_string() == "time";
  prediction.unit = is_time ? "us" : "GB/s";
  prediction.value =
      is_time ? prediction.predicted.count() * 1e6 : typed.at("value").as_number() * ratio;
  return prediction;
}

std::optional<FitSample> sample(const MeasurementRecord& record, const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  if (!refusal(typed).empty()) return std::nullopt;
  const auto recorded = std::make_shared<const RecordedCollective>(
      typed, nccl_tests().at(typed.at("algorithm").as_string()), calibration);
  FitSample made;
  made.query = recorded->query;
  made.timing = exchange_timing(recorded->query);
  made.measured = measured(typed, *recorded);
  made.predict = [recorded, traffic = recorded->traffic()](const ExchangeTiming& timing) {
    return exchange_time(recorded->exchange(timing, traffic));
  };
  return made;
}

const Registered<RecordKind> registered{
    "collective", "a collective as nccl-tests measures it", {predict, sample}};

}  // namespace
}  // namespace moesim
