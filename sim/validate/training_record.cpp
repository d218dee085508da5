// Conditions of training records, read into plans.
#include "sim/validate/training_record.h"

#include <algorithm>
#include <map>

#include "sim/plan/all_to_all.h"
#include "sim/validate/memory_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

constexpr int kRackDomain = 72, kUsedOfRack = 64;  // what jobs of whole powers of two take of it

bool is_blackwell(const std::string& accelerator) {
  return accelerator.find("b200") != std::string::npos ||
         accelerator.find("b300") != std::string::npos;
}

std::string exchange_of(const JsonNode& typed, const std::string& accelerator, std::string& note) {
  static const std::map<std::string, std::string> same{
      {"nccl_alltoall", "nccl_pairwise"},
      {"nccl_allgather", "allgather_reducescatter"},
      {"nccl_allgather_reducescatter", "allgather_reducescatter"},
      {"deepep", "deepep_normal"}};
  std::string stated = text_of(typed, "algorithm");
  if (const auto found = same.find(stated); found != same.end()) return found->second;
  if (Catalog<AllToAllPart>::instance().find(stated) != nullptr) return stated;
  std::string taken = is_blackwell(accelerator) ? "hybridep" : "deepep_normal";
  note = taken + " stands in for " + (stated.empty() ? "an exchange not stated" : stated);
  return taken;
}

// Domains of the machine as far as jobs fill them, all of the record's ranks in one stage's worth.
ClusterSpec cluster_of_job(const JsonNode& typed, const std::string& calibration) {
  const int stated = int_of(typed, "scale_up_domain", 8);
  const int ranks = static_cast<int>(typed.at("ranks").as_int(1, 1 << 20));
  const bool in_part = stated == kRackDomain && ranks % kRackDomain != 0;
  const int domain = in_part ? kUsedOfRack : stated;
  std::string text = R"({"ranks": )" + std::to_string(2 * domain) + R"(, "nodes": 2)" +
                     R"(, "scale_up_domain": )" + std::to_string(domain) +
                     R"(, "gpus_per_node": )" + std::to_string(domain);
  const std::string network = text_of(typed, "scale_out", "none");
  text += R"(, "accelerator": ")" + typed.at("accelerator").as_string() + R"(", "scale_out": ")" +
          (network == "none" ? "ib" : network) + "\"";
  for (const char* key : {"scale_up_bandwidth_gbs", "scale_out_bandwidth_gbs"})
    if (const auto found = typed.find(key))
      text += ", \"" + std::string(key) + "\": " + std::to_string(found->as_number());
  // No record says what NICs a rack's GPUs have: those of the rack that comes with the project.
  if (stated == kRackDomain && !typed.find("scale_out_bandwidth_gbs"))
    text += ", \"scale_out_bandwidth_gbs\": " +
            std::to_string(load_cluster_preset("gb200-nvl72").options.nic.value * 1e-9);
  ClusterSpec spec = cluster_of(read_json_text(text + "}", "the record's cluster")).spec;
  spec.calibration = calibration;
  spec.options.nodes = std::max(1, ranks / domain);
  return spec;
}

std::string precision_of(const JsonNode& typed) {
  std::string stated = text_of(typed, "dtype", "bf16");
  if (stated == "fp16") return "bf16";
  return stated == "mxfp4" ? "nvfp4" : stated;
}

void read_sizes(const JsonNode& typed, TrainingPlan& plan) {
  plan.ranks = int_of(typed, "ranks", 1);
  plan.tensor = int_of(typed, "tp", 1);
  plan.pipeline = int_of(typed, "pp", 1);
  plan.expert = int_of(typed, "ep", 1);
  plan.virtual_stages = int_of(typed, "vp", 1);
  plan.micro_batch = int_of(typed, "micro_batch", 1);
  plan.global_batch = int_of(typed, "global_batch", plan.data());
  plan.sequence = int_of(typed, "sequence", 4096);
}

bool is_true(const JsonNode& typed, const char* key, bool otherwise) {
  const auto found = typed.find(key);
  return found ? found->as_bool() : otherwise;
}

bool has_latent_attention(const MoeModel& model) {
  return model.layers.back().attention.kind == AttentionKind::latent;
}

}  // namespace

std::variant<RecordedTraining, Unmapped> read_training_record(const JsonNode& typed,
                                                              const std::string& calibration) {
  const std::string quantity = typed.at("quantity").as_string();
  const std::vector<std::string> known{"throughput", "rate", "mfu", "time"};
  if (std::find(known.begin(), known.end(), quantity) == known.end())
    return Unmapped{"quantity \"" + quantity + "\" is none that a training step has"};
  RecordedTraining recorded;
  recorded.model = load_model(typed.at("model").as_string());
  recorded.cluster = cluster_of_job(typed, calibration);
  TrainingPlan& plan = recorded.plan;
  read_sizes(typed, plan);
  if (const int stated = int_of(typed, "dp", plan.data()); stated != plan.data())
    return Unmapped{"context parallelism: " + std::to_string(stated) + " DP ranks of " +
                    std::to_string(plan.tensor * plan.pipeline) + " GPUs are not all " +
                    std::to_string(plan.ranks)};
  plan.precision = precision_of(typed);
  plan.all_to_all = exchange_of(typed, recorded.cluster.accelerator, recorded.note);
  const std::string recompute = choice_of(typed, "recompute", recompute_names());
  if (!recompute.empty())
    plan.recompute = recompute_named(recompute);
  else if (has_latent_attention(recorded.model))
    plan.recompute = Recompute::selective;
  const int domain = recorded.cluster.options.gpus_per_node;
  plan.overlap = is_true(typed, "overlap", plan.expert > domain && plan.pipeline > 1);
  plan.mtp = is_true(typed, "mtp", true) && !recorded.model.mtp_layers.empty();
  const std::string routing =
      choice_of(typed, "routing", {"uniform", "balanced", "skewed", "token_drop", "not_stated"});
  if (routing == "token_drop") plan.capacity_factor = 1;
  if (plan.pipeline > 1 && plan.virtual_stages > 1 && plan.micro_batches() % plan.pipeline != 0) {
    plan.virtual_stages = 1;
    recorded.note += (recorded.note.empty() ? "" : "; ") +
                     std::string("no virtual stages: micro-batches do not fill them evenly");
  }
  return recorded;
}

}  // namespace moesim
