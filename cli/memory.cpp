// moesim memory: the memory ledger of a model on GPUs, without a trace.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "analysis/memory/memory_text.h"
#include "cli/commands.h"
#include "sim/core/error.h"
#include "sim/memory/served_plan.h"
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

struct MemoryOptions {
  std::string model, accelerator, engine = "vllm", weights, dense, attention, kv_cache = "bf16";
  std::optional<int> expert, data;
  ServedSizes sizes;
  EngineMemory memory;
  ServedLoad load;
  std::optional<std::int64_t> batch;
  bool json = false;
};

void add_sizes(CLI::App& command, MemoryOptions& options) {
  command.add_option("--ep", options.expert,
                     "expert parallelism: ranks that experts are dealt over (default: none, each "
                     "expert is split over all ranks of a stage)");
  command.add_option("--tp", options.sizes.tensor,
                     "tensor parallelism: ranks that split attention (default 1)");
  command.add_option("--dp", options.data,
                     "data parallelism: DP ranks, with requests of their own; the pool has TP x DP "
                     "x PP GPUs (default: EP / TP)");
  command.add_option("--pp", options.sizes.pipeline,
                     "pipeline parallelism: stages that split the layers (default 1)");
  command
      .add_option(
          "--cp", options.sizes.context,
          "context parallelism: ranks of a TP group that share out each request's KV cache, "
          "as vLLM's decode_context_parallel_size (default 1)")
      ->check(CLI::Range(1, 1024));
  command.add_option("--expert-tp", options.sizes.expert_tensor,
                     "ranks that split each expert (default: 1 with --ep, else all of a stage)");
  command.add_option("--redundant-experts", options.sizes.redundant_experts,
                     "expert slots beyond the model's experts, in all (default 0)");
  command
      .add_option("--resident-experts", options.sizes.resident_experts,
                  "experts a layer that stay in a GPU's memory, the others in the host's (default: "
                  "all)")
      ->check(CLI::Range(1, 1 << 16));
}

void add_formats(CLI::App& command, MemoryOptions& options) {
  command.add_option("--weights", options.weights,
                     "format of the experts' weights (default: as the model's checkpoint)");
  command.add_option("--dense", options.dense,
                     "format of attention, shared experts and dense parts (default: as the model's "
                     "checkpoint)");
  command.add_option("--attention", options.attention,
                     "format of attention alone, where it differs");
  command.add_option("--kv-cache", options.kv_cache, "bf16 or fp8 (default bf16)")
      ->check(CLI::IsMember({"bf16", "fp8"}));
}

void add_engine(CLI::App& command, MemoryOptions& options) {
  command
      .add_option(
          "--engine", options.engine,
          "whose rule divides the memory: vllm, sglang, tensorrt_llm or none (default vllm)")
      ->check(CLI::IsMember(engine_names()));
  command
      .add_option("--memory-fraction", options.memory.fraction,
                  "vLLM's gpu_memory_utilization, SGLang's mem_fraction_static or TensorRT-LLM's "
                  "free_gpu_memory_fraction (default 0.9)")
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--page-size", options.memory.page_tokens,
                  "tokens of KV cache allocated together (default 1)")
      ->check(CLI::Range(1, 1 << 16));
  command
      .add_option("--fragmentation", options.memory.fragmentation,
                  "share of the KV pool that is lost (default 0)")
      ->check(CLI::Range(0.0, 0.9));
  command
      .add_option("--prefill-chunk", options.memory.prefill_chunk,
                  "new tokens of the largest step (default 8192)")
      ->check(CLI::Range(1, 1 << 20));
  command
      .add_option("--max-requests", options.memory.max_requests,
                  "requests whose next tokens an engine draws at once (default 256)")
      ->check(CLI::Range(1, 1 << 16));
  command.add_flag("--mtp", options.memory.mtp, "also load the multi-token prediction module");
}

void add_load(CLI::App& command, MemoryOptions& options) {
  command.add_option("--context", options.load.context, "tokens of every request (default 4096)")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option("--batch", options.batch, "requests of each DP rank (default: as many as fit)")
      ->check(CLI::Range(0, 1 << 20));
  command.add_option(
      "--all-to-all", options.load.all_to_all,
      "algorithm of `moesim list all_to_all` whose buffers are held (default: none)");
  command
      .add_option("--max-tokens-per-rank", options.load.max_tokens_per_rank,
                  "tokens that its buffers are allocated for (default 128)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_flag("--json", options.json, "print JSON, sizes in bytes");
}

// EP without DP: as many DP ranks as the EP group has room for.
ServedSizes sizes_of(const MemoryOptions& options) {
  ServedSizes sizes = options.sizes;
  sizes.expert = options.expert.value_or(1);
  if (options.expert && sizes.expert_tensor == 0) sizes.expert_tensor = 1;
  if (options.data) {
    sizes.data = *options.data;
  } else if (options.expert && sizes.tensor > 0) {
    if (sizes.expert % sizes.tensor != 0)
      throw InputError(fmt::format(
          "--ep {} is no multiple of --tp {}: say with --dp how many DP ranks there are",
          sizes.expert, sizes.tensor));
    sizes.data = sizes.expert / sizes.tensor;
  }
  if (sizes.data < 1) throw InputError(fmt::format("--dp {}: at least 1", sizes.data));
  return sizes;
}

void set_formats(const MemoryOptions& options, const MoeModel& model, Precision& precision) {
  if (!options.weights.empty()) precision.experts = weight_format_named(options.weights);
  if (!options.dense.empty()) {
    precision.dense = weight_format_named(options.dense);
    precision.attention.reset();
  }
  if (!options.attention.empty()) precision.attention = weight_format_named(options.attention);
  if (options.kv_cache == "fp8") precision.kv_cache = WeightFormat::fp8;
  if (options.memory.mtp && model.mtp_layers.empty())
    throw InputError("--mtp: the configuration of " + model.name +
                     " names no multi-token prediction module");
}

void print_memory(MemoryOptions options) {
  const MoeModel model = load_model(options.model);
  const Accelerator accelerator = load_accelerator(options.accelerator);
  if (!options.load.all_to_all.empty())
    Catalog<AllToAllPart>::instance().at(options.load.all_to_all, "all-to-all algorithm");
  options.memory.engine = engine_named(options.engine);
  options.load.batch = options.batch;
  options.load.resident_experts = options.sizes.resident_experts;
  ShardingPlan plan = served_plan(model, sizes_of(options), options.memory);
  set_formats(options, model, plan.precision);
  const MemoryEstimate estimate = estimate_memory(model, accelerator, plan, options.load);
  const MemoryReport report{model, accelerator, plan, options.load, estimate};
  fmt::print("{}", options.json ? memory_json(report) : memory_text(report));
}

void add_memory(CLI::App& command) {
  const auto options = std::make_shared<MemoryOptions>();
  command.add_option("--model", options->model, "name in `moesim list models`, or a config.json")
      ->required();
  command
      .add_option("--accelerator", options->accelerator,
                  "name in `moesim list accelerators`, or a file")
      ->required();
  add_sizes(command, *options);
  add_formats(command, *options);
  add_engine(command, *options);
  add_load(command, *options);
  command.footer(
      "Example: moesim memory --model deepseek-v3 --accelerator h200-sxm --ep 32 "
      "--redundant-experts 32 --all-to-all deepep_low_latency");
  command.callback([options] { print_memory(*options); });
}

const Registered<Command> registered{
    "memory", "Print what fills each GPU's memory, without a trace", {add_memory}};

}  // namespace
}  // namespace moesim
