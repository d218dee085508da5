// Conditions of exchange records, read into cases.
#include "sim/validate/exchange_record.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

bool one_of(const std::string& text, const std::vector<std::string>& valid) {
  return std::find(valid.begin(), valid.end(), text) != valid.end();
}

// fp16 is as wide as bf16; what a record of the other direction leaves open plays no part.
std::optional<PayloadFormat> payload(const std::string& name) {
  if (name == "fp16" || name.empty()) return PayloadFormat::bf16;
  if (!one_of(name, payload_names())) return std::nullopt;
  return payload_named(name);
}

// A reason why the record is no exchange of this project, or none.
std::string refusal(const JsonNode& typed) {
  const std::string algorithm = typed.at("algorithm").as_string();
  const auto mapped = map_algorithm(algorithm, text_of(typed, "mode"));
  if (algorithm == "fused")
    return "the exchange runs inside a layer's kernel and has no time of its own";
  if (!mapped) return "no exchange of this project stands for algorithm \"" + algorithm + "\"";
  if (!one_of(mapped->algorithm, Catalog<AllToAllPart>::instance().names()))
    return "algorithm \"" + mapped->algorithm + "\" is not in the catalog";
  const std::string quantity = typed.at("quantity").as_string();
  if (!one_of(quantity, {"time", "logical_bandwidth", "algorithm_bandwidth"}))
    return "quantity \"" + quantity + "\" is none that an exchange has";
  const std::string operation =
      typed.at("operation")
          .as_choice({"dispatch", "combine", "round_trip", "prepare"}, "operation");
  if (operation == "prepare" && quantity != "time") return "a prepare step moves no rows";
  if (operation == "prepare" && mapped->algorithm != "nvlink_two_sided" &&
      mapped->algorithm != "deepep_normal")
    return "only nvlink_two_sided and deepep_normal have a prepare step of their own";
  if (operation == "round_trip" && quantity != "time")
    return "what rows a bandwidth of both directions counts is not stated";
  return "";
}

constexpr std::int64_t kMostTokens = 1 << 25;  // some seconds a draw

ExchangeCase case_of(const JsonNode& typed, const std::string& algorithm) {
  ExchangeCase made;
  const std::string transport = choice_of(
      typed, "transport", {"nvlink", "xgmi", "ibgda", "nvlink+ibgda", "cpu_proxy", "nic"});
  choice_of(typed, "timing", {"kernel", "api", "end_to_end", "not_stated"});
  choice_of(typed, "reported_link", {"scale_up", "scale_out"});
  choice_of(typed, "mode", {"low_latency", "high_throughput"});
  made.algorithm = algorithm;
  made.cluster = cluster_of(typed, transport == "ibgda" || transport == "nic");
  if (!transport.empty()) made.cluster.spec.cpu_proxy = transport == "cpu_proxy";
  RoutingDraw& routing = made.routing;
  routing.ranks = made.cluster.ranks();
  routing.ranks_per_node = made.cluster.fabric.ranks_per_node;
  routing.tokens_per_rank = static_cast<int>(typed.at("tokens_per_rank").as_int(1, 1 << 20));
  routing.top_k = static_cast<int>(typed.at("top_k").as_int(1, 1024));
  const int least = std::max({256, routing.ranks, routing.top_k});
  const int some = (least + routing.ranks - 1) / routing.ranks * routing.ranks;
  routing.experts = int_of(typed, "experts", some);
  if (routing.experts > 65536) typed.at("experts").fail("at most 65536 experts are drawn");
  if (std::int64_t{routing.tokens_per_rank} * routing.ranks > kMostTokens)
    typed.at("tokens_per_rank")
        .fail("more tokens than are drawn one by one: at most " + std::to_string(kMostTokens) +
              " over all ranks");
  if (routing.experts < routing.top_k)
    typed.at("top_k").fail("more choices a token than experts (" + std::to_string(routing.experts) +
                           ")");
  // Domains of NVLink stand for nodes: only where a record's nodes are those does its limit mean
  // them.
  if (int_of(typed, "gpus_per_node", 8) == routing.ranks_per_node)
    routing.nodes_limit = int_of(typed, "groups_limit", 0);
  const std::string distribution =
      choice_of(typed, "routing", {"uniform", "balanced", "skewed", "token_drop", "not_stated"});
  routing.balanced = distribution == "balanced" || distribution == "token_drop";
  if (routing.balanced && routing.experts < routing.ranks)
    typed.at("experts").fail("balanced routing needs an expert on every rank");
  if (const auto skew = typed.find("skew_exponent"); skew && distribution == "skewed")
    routing.skew_exponent = skew->as_ratio(0, 8);
  ExchangeShape& shape = made.shape;
  shape.hidden = typed.at("hidden").as_int(1, 1 << 20);
  shape.ranks = routing.ranks;
  shape.ranks_per_node = routing.ranks_per_node;
  shape.physical_experts = (routing.experts + routing.ranks - 1) / routing.ranks * routing.ranks;
  shape.top_k = routing.top_k;
  shape.max_tokens_per_rank = routing.tokens_per_rank;
  shape.sms = int_of(typed, "sms",
                     Catalog<AllToAllPart>::instance().at(algorithm, "all-to-all").default_sms);
  return made;
}

// Bytes that a bandwidth counts, of one rank: one row per (token, rank), (token, node) or (token,
// expert).
double logical_bytes(const JsonNode& typed,
                     const ExchangeCase& made,
                     const ExchangeProbe& probe,
                     ExchangeDirection direction) {
  const bool dispatch = direction == ExchangeDirection::dispatch;
  double row = row_bytes(made.shape.hidden, dispatch ? made.shape.dispatch : made.shape.combine);
  const auto includes = typed.find("includes_local");
  const bool local = !includes || includes->as_bool();
  double rows = 0, places = made.routing.ranks;
  if (made.algorithm == "deepep_low_latency") {
    rows = probe.copies_per_token();
    if (dispatch) row += 16;  // DeepEP counts the header of a message
  } else if (text_of(typed, "reported_link") == "scale_out") {
    rows = probe.nodes_per_token();
    places = made.cluster.fabric.nodes();
  } else {
    rows = probe.ranks_per_token();
  }
  return made.routing.tokens_per_rank * row * rows * (local ? 1 : (places - 1) / places);
}

RecordedDirection direction_of(const JsonNode& typed,
                               const ExchangeCase& made,
                               ExchangeDirection direction) {
  RecordedDirection read{ExchangeProbe(made, direction)};
  read.bytes = logical_bytes(typed, made, read.probe, direction);
  read.basis = read.probe.timing().basis;
  if (text_of(typed, "timing") == "api") read.extra += read.probe.timing().api_overhead;
  return read;
}

}  // namespace

std::optional<MappedAlgorithm> map_algorithm(const std::string& name, const std::string& mode) {
  static const std::map<std::string, std::string> same{
      {"deepep_normal", "deepep_normal"},
      {"deepep_low_latency", "deepep_low_latency"},
      {"deepep_v2", "deepep_v2"},
      {"hybridep", "hybridep"},
      {"nccl_alltoall", "nccl_pairwise"},
      {"nccl_allgather_reducescatter", "allgather_reducescatter"},
      {"nvlink_one_sided", "nvlink_one_sided"},
      {"nvlink_two_sided", "nvlink_two_sided"}};
  if (const auto found = same.find(name); found != same.end())
    return MappedAlgorithm{found->second};
  const bool by_mode =
      name == "deepep" || name == "nccl_ep" || name == "pplx" || name == "mori" || name == "uccl";
  if (!by_mode && one_of(name, Catalog<AllToAllPart>::instance().names()))
    return MappedAlgorithm{name};
  if (!by_mode) return std::nullopt;
  return MappedAlgorithm{mode == "low_latency" ? "deepep_low_latency" : "deepep_normal",
                         name != "deepep"};
}

Seconds prepare_time(const ExchangeCase& described, Basis& basis) {
  const bool within_node = described.routing.ranks <= described.cluster.fabric.ranks_per_node;
  const ExchangeTiming timing =
      exchange_timing({described.algorithm, "prepare", within_node,
                       described.cluster.accelerator.name, false, described.calibration});
  basis = weaker(basis, timing.basis);
  return timing.protocol.fixed + timing.per_token * described.routing.tokens_per_rank;
}

double RecordedExchange::bytes() const {
  double sum = 0;
  for (const RecordedDirection& direction : directions) sum += direction.bytes;
  return sum;
}

Seconds RecordedExchange::measured() const {
  return Seconds(is_time ? value * 1e-6 : bytes() / (value * 1e9));
}

std::variant<RecordedExchange, Unmapped> read_exchange_record(const JsonNode& typed,
                                                              const std::string& calibration) {
  if (const std::string reason = refusal(typed); !reason.empty()) return Unmapped{reason};
  const std::string name = typed.at("algorithm").as_string();
  const MappedAlgorithm mapped = *map_algorithm(name, text_of(typed, "mode"));
  const auto dispatch = payload(text_of(typed, "dispatch_dtype"));
  const auto combine = payload(text_of(typed, "combine_dtype"));
  if (!dispatch || !combine) return Unmapped{"a row format that no exchange here has"};
  RecordedExchange read;
  read.described = case_of(typed, mapped.algorithm);
  read.described.shape.dispatch = *dispatch;
  read.described.shape.combine = *combine;
  read.described.calibration = calibration;
  read.operation = typed.at("operation").as_string();
  if (mapped.stands_in) read.stands_in_for = name;
  read.value = typed.at("value").as_number();
  read.is_time = typed.at("quantity").as_string() == "time";
  if (read.operation == "prepare") return read;
  for (const auto direction : {ExchangeDirection::dispatch, ExchangeDirection::combine})
    if (read.operation == "round_trip" || read.operation == to_text(direction))
      read.directions.push_back(direction_of(typed, read.described, direction));
  return read;
}

}  // namespace moesim
