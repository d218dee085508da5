// Conditions of serving records, read into a plan and a batch.
#include "sim/validate/serving_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/memory/admitted_cache.h"
#include "sim/memory/memory_ledger.h"
#include "sim/plan/placement.h"
#include "sim/validate/exchange_record.h"
#include "sim/validate/kernel_record.h"
#include "sim/validate/typed_reader.h"
#include "workloads/traces/synth.h"

namespace moesim {
namespace {

constexpr std::int64_t kTraceTokens = 16384;  // rows; larger batches replay them again
constexpr int kPrefillTokens = 16384;         // new tokens a DP rank where none are stated
constexpr double kAcceptance =
    0.85;  // of one drafted token: 85 to 90 % (DeepSeek-V3 report, 5.4.3)

std::string add_note(const std::string& notes, const std::string& note) {
  return notes.empty() ? note : notes + "; " + note;
}

// Why no step of this project is the record's, or "".
std::string refusal(const JsonNode& typed) {
  const std::string quantity = typed.at("quantity").as_string();
  if (quantity != "throughput" && quantity != "time")
    return "quantity \"" + quantity + "\" is none that a step has";
  const std::string phase = typed.at("phase").as_choice({"prefill", "decode"}, "phase");
  if (phase == "prefill" && quantity == "time") return "a prefill's latency has queueing in it";
  const int expert = int_of(typed, "ep", 1), ranks = int_of(typed, "ranks", 1);
  if (ranks % expert != 0) return fmt::format("EP {} does not divide {} ranks", expert, ranks);
  return "";
}

void set_parallelism(const JsonNode& typed, RecordedServing& recorded) {
  Parallelism& parallelism = recorded.plan.parallelism;
  parallelism.ranks = recorded.cluster.ranks();
  parallelism.expert = int_of(typed, "ep", 1);
  const int data = int_of(typed, "dp", 0);
  const int tensor = int_of(typed, "tp", 1);
  // SGLang's tp counts the ranks of all DP attention groups.
  parallelism.tensor =
      data > 0 && parallelism.ranks % data == 0 ? parallelism.ranks / data : tensor;
  // Without expert parallelism every expert is split over the tensor-parallel ranks.
  if (parallelism.expert == 1)
    parallelism.expert_tensor = parallelism.feed_forward_tensor = parallelism.tensor;
}

void set_formats(const JsonNode& typed, RecordedServing& recorded) {
  Precision& precision = recorded.plan.precision;
  const std::string stated = text_of(typed, "dtype");
  precision.experts = stated.empty() ? recorded.model.expert_format : weight_format(typed);
  precision.dense = stated.empty() || precision.experts == WeightFormat::mxfp4
                        ? recorded.model.dense_format
                        : precision.experts;
  const bool small = precision.experts != WeightFormat::bf16;
  precision.dispatch = small && recorded.plan.dispatch.starts_with("deepep") ? PayloadFormat::fp8
                                                                             : PayloadFormat::bf16;
}

bool set_exchanges(const JsonNode& typed, bool prefill, RecordedServing& recorded) {
  const std::string stated = text_of(typed, "algorithm", "deepep");
  const auto mapped = map_algorithm(stated, prefill ? "high_throughput" : "low_latency");
  if (!mapped) return false;
  recorded.plan.dispatch = recorded.plan.combine = mapped->algorithm;
  if (!typed.find("algorithm"))
    recorded.note = add_note(recorded.note, mapped->algorithm + " assumed");
  else if (mapped->stands_in)
    recorded.note = add_note(recorded.note, mapped->algorithm + " stands in for " + stated);
  return true;
}

RoutingTrace draw_trace(const JsonNode& typed, bool prefill, RecordedServing& recorded) {
  const std::string balancer = choice_of(typed, "balancer", {"none", "eplb", "perfect"});
  std::string name = "uniform";
  if (balancer == "none" || balancer == "eplb") {
    const std::string own = recorded.model.name + (prefill ? "-prefill" : "-decode");
    const auto names = profile_names();
    const auto knows = [&](const std::string& known) { return own.starts_with(known); };
    if (std::any_of(names.begin(), names.end(), knows)) name = own;
  }
  if (name == "uniform" && balancer != "perfect")
    recorded.note = add_note(recorded.note, "uniform routing assumed");
  SynthRequest request;
  request.tokens = kTraceTokens;
  request.experts = static_cast<int>(recorded.model.experts);
  request.top_k = static_cast<int>(recorded.model.top_k);
  request.groups = static_cast<int>(recorded.model.groups);
  request.kept_groups = static_cast<int>(recorded.model.top_groups);
  for (const std::size_t layer : recorded.model.moe_layers())
    request.layer_ids.push_back(static_cast<int>(layer));
  request.moe_layers = static_cast<int>(request.layer_ids.size());
  request.model = recorded.model.name;
  return synthesize(load_profile(name), request);
}

// Decode is balanced over all ranks, prefill within the expert groups' nodes (EPLB's README).
void place(const JsonNode& typed, bool prefill, RecordedServing& recorded) {
  ShardingPlan& plan = recorded.plan;
  const auto experts = static_cast<int>(recorded.model.experts);
  const int expert = plan.parallelism.expert;
  if (const auto stated = typed.find("redundant_experts"))
    plan.redundant_experts = static_cast<int>(stated->as_int(0, 1 << 16));
  if (const int over = (experts + plan.redundant_experts) % expert; over != 0) {
    plan.redundant_experts += expert - over;
    recorded.note =
        add_note(recorded.note, fmt::format("{} redundant experts", plan.redundant_experts));
  }
  check_plan(plan, recorded.model);
  std::vector<std::uint32_t> planning(recorded.trace.tokens() / 2);
  std::iota(planning.begin(), planning.end(), 0);
  PlacementInput input;
  input.load = expert_load(recorded.trace, planning);
  input.slots = experts + plan.redundant_experts;
  input.ranks = expert;
  const int of_node = recorded.cluster.fabric.ranks_per_node;
  input.nodes = expert % of_node == 0 ? expert / of_node : 1;
  input.groups = static_cast<int>(recorded.model.groups);
  const std::string balancer = text_of(typed, "balancer");
  const bool balanced = balancer == "eplb" || (balancer != "none" && plan.redundant_experts > 0);
  plan.placement_strategy = !balanced ? "contiguous" : prefill ? "eplb" : "eplb_global";
  plan.placement =
      Catalog<PlacementPart>::instance().at(plan.placement_strategy, "placement")(input);
}

int context_of(const JsonNode& typed, bool prefill) {
  const int sequence = int_of(typed, "sequence", prefill ? 4096 : 1);
  return std::max(1, int_of(typed, "context", sequence + int_of(typed, "output_length", 0) / 2));
}

// As many requests a DP rank as an engine with nine tenths of the memory admits, up to 256.
int admitted_requests(int context, const RecordedServing& recorded) {
  ShardingPlan plan = recorded.plan;
  plan.memory.engine = ServingEngine::vllm;
  const MemoryLedger ledger =
      build_ledger(recorded.model, {{"", recorded.cluster.accelerator.memory}}, plan, {}, Bytes(0));
  const auto fit = admitted_cache(ledger, recorded.model, plan, context).requests;
  return static_cast<int>(std::clamp<std::int64_t>(fit, 1, plan.memory.max_requests));
}

// New tokens of a DP rank in prefill, its requests in decode.
int tokens_of(const JsonNode& typed, bool prefill, RecordedServing& recorded) {
  if (prefill) return int_of(typed, "tokens_per_rank", kPrefillTokens);
  if (typed.find("batch")) return int_of(typed, "batch", 1);
  const int fit = admitted_requests(context_of(typed, prefill), recorded);
  recorded.note = add_note(recorded.note, fmt::format("{} requests a DP rank, as fit", fit));
  return fit;
}

// The new tokens of one DP rank and where each request's are; rows are taken from the trace's
// second half in turn.
class RankRequests {
 public:
  RankRequests(std::size_t traced, bool prefill, int sequence, int context)
      : half_(static_cast<std::uint32_t>(traced / 2)),
        prefill_(prefill),
        sequence_(sequence),
        context_(context) {}

  void add_rank(Batch& batch, int tokens) {
    batch.by_rank.emplace_back();
    batch.rows.emplace_back();
    for (int left = tokens, request = 0; left > 0; ++request) {
      const int taken = prefill_ ? std::min(left, sequence_) : 1;
      const int rows = taken * (1 + batch.drafts);
      batch.by_rank.back().push_back(
          {request, prefill_ ? Phase::prefill : Phase::decode, rows, prefill_ ? 0 : context_});
      for (int i = 0; i < rows; ++i) batch.rows.back().push_back(half_ + row_++ % half_);
      left -= taken;
    }
  }

 private:
  std::uint32_t half_, row_ = 0;
  bool prefill_;
  int sequence_, context_;
};

// Those of one DP rank lie in a stretch of the trace.
Batch make_batch(const JsonNode& typed, bool prefill, RecordedServing& recorded) {
  const int sequence = int_of(typed, "sequence", prefill ? 4096 : 1);
  const int context = context_of(typed, prefill);
  const int groups = recorded.plan.parallelism.data();
  const int tokens = tokens_of(typed, prefill, recorded);
  Batch batch;
  const bool drafts = !prefill && typed.find("mtp") && typed.at("mtp").as_bool();
  if (drafts) {
    batch.drafts = 1;
    batch.kept = (1 + kAcceptance) / 2;
  }
  RankRequests requests(recorded.trace.tokens(), prefill, sequence, context);
  for (int group = 0; group < groups; ++group) requests.add_rank(batch, tokens);
  return batch;
}

}  // namespace

std::variant<RecordedServing, Unmapped> read_serving_record(const JsonNode& typed,
                                                            const std::string& calibration) {
  if (const std::string reason = refusal(typed); !reason.empty()) return Unmapped{reason};
  const bool prefill = typed.at("phase").as_string() == "prefill";
  RecordedServing recorded;
  recorded.model = load_model(typed.at("model").as_string());
  recorded.cluster = cluster_of(typed);
  if (!calibration.empty()) recorded.cluster.spec.calibration = calibration;
  set_parallelism(typed, recorded);
  if (!set_exchanges(typed, prefill, recorded))
    return Unmapped{"no exchange of this project stands for algorithm \"" +
                    typed.at("algorithm").as_string() + "\""};
  set_formats(typed, recorded);
  if (typed.find("overlap") && typed.at("overlap").as_bool()) recorded.plan.overlap = "two_batch";
  recorded.trace = draw_trace(typed, prefill, recorded);
  place(typed, prefill, recorded);
  recorded.batch = make_batch(typed, prefill, recorded);
  if (recorded.batch.drafts > 0 && recorded.model.mtp_layers.empty())
    return Unmapped{recorded.model.name + " has no multi-token prediction module here"};
  recorded.conditions = fmt::format(
      "{}, {}, EP {} TP {}, {} tokens a DP rank, {}", machine_text(typed), recorded.model.name,
      recorded.plan.parallelism.expert, recorded.plan.parallelism.tensor,
      recorded.batch.rows.front().size(), recorded.plan.overlap);
  return recorded;
}

}  // namespace moesim
