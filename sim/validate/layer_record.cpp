// Conditions of layer records, read into exchanges and products.
#include "sim/validate/layer_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/validate/expert_loads.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

constexpr int kDecodeTokens = 128;  // DeepEP's low-latency buffers by default

struct ChosenExchange {
  std::string algorithm, stands_in_for;
};

ChosenExchange choose_exchange(const JsonNode& typed) {
  const std::string stated = text_of(typed, "algorithm");
  if (!stated.empty() && stated != "fused" && stated != "other") return {stated, ""};
  const std::string for_whom = stated.empty() ? "an exchange not stated" : stated;
  if (typed.at("part").as_string() != "layer" || typed.at("tp").as_int(1, 65536) > 1)
    return {"nccl_allgather_reducescatter", for_whom};
  return {"deepep", for_whom};
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

// The exchange's own record: the layer's machine and routing, and one operation.
JsonNode exchange_form(const JsonNode& typed,
                       const std::string& algorithm,
                       const std::string& operation) {
  std::string text = R"({"kind": "exchange", "quantity": "time", "value": 1, "timing": "kernel")";
  for (const char* key : {"accelerator", "scale_out", "routing"})
    if (const auto found = typed.find(key))
      text += fmt::format(R"(, "{}": {})", key, quoted(found->as_string()));
  for (const char* key :
       {"ranks", "nodes", "gpus_per_node", "scale_up_domain", "scale_up_bandwidth_gbs",
        "scale_out_bandwidth_gbs", "tokens_per_rank", "hidden", "top_k", "experts"})
    if (const auto found = typed.find(key))
      text += fmt::format(R"(, "{}": {})", key, found->as_number());
  const bool few = typed.at("tokens_per_rank").as_int(1, 1 << 20) <= kDecodeTokens;
  const bool small_rows =
      weight_format(typed) == WeightFormat::fp8 && algorithm.starts_with("deepep");
  text += fmt::format(
      R"(, "algorithm": "{}", "mode": "{}", "operation": "{}", "dispatch_dtype": "{}",)"
      R"( "combine_dtype": "bf16"}})",
      algorithm, few ? "low_latency" : "high_throughput", operation, small_rows ? "fp8" : "bf16");
  return read_json_text(text, "the record's exchange");
}

std::string note_of(const ChosenExchange& chosen, const RecordedExchange& read) {
  const std::string whose =
      chosen.stands_in_for.empty() ? read.stands_in_for : chosen.stands_in_for;
  return whose.empty() ? "" : read.described.algorithm + " stands in for " + whose;
}

ExpertLayout layout_after(const RecordedExchange& exchange, const KernelTimer& timer) {
  const std::vector<std::string>& masked = timer.efficiencies().masked_after;
  const bool found =
      std::find(masked.begin(), masked.end(), exchange.described.algorithm) != masked.end();
  return found ? ExpertLayout::masked : ExpertLayout::contiguous;
}

void add_products(const JsonNode& typed,
                  const KernelTimer& timer,
                  ExpertLayout layout,
                  RecordedLayer& layer) {
  ExpertLoad load = expert_load_of(typed);
  const auto ranks = static_cast<int>(typed.at("ranks").as_int(1, 65536));
  load.tokens_per_rank = load.tokens_per_rank * ranks / load.ranks;  // of one member of EP
  ExpertShape shape;
  shape.hidden = typed.at("hidden").as_int(1, 1 << 20);
  shape.width = typed.at("intermediate").as_int(1, 1 << 20) / typed.at("tp").as_int(1, 65536);
  shape.format = weight_format(typed);
  shape.precision = timer.compute_precision(shape.format);
  shape.layout = layout;
  const std::string model = text_of(typed, "model");
  const bool whole = layer.part == "layer";
  shape.gated = whole && (model.empty() || load_model(model).gated);
  const std::vector<std::uint32_t> rows = heaviest_rank_rows(load).front();
  std::vector<KernelWork> works = expert_work(rows, shape);
  const auto is_product = [](const KernelWork& work) { return work.tiles.exist(); };
  const auto second = std::find_if(works.rbegin(), works.rend(), is_product).base() - 1;
  if (layer.part != "layer1") layer.first.assign(works.begin(), second);
  if (layer.part != "layer0") layer.second.assign(second, works.end());
  for (const auto* part : {&layer.first, &layer.second})
    for (const KernelWork& work : *part) layer.counted += work.flops.value;
}

}  // namespace

std::variant<RecordedLayer, Unmapped> read_layer_record(const JsonNode& typed,
                                                        const KernelTimer& timer,
                                                        const std::string& calibration) {
  if (const std::string reason = kernel_refusal(typed, {"layer", "layer0", "layer1"});
      !reason.empty())
    return Unmapped{reason};
  RecordedLayer layer;
  layer.part = typed.at("part").as_string();
  layer.overlapped = text_of(typed, "algorithm") == "fused";
  const ChosenExchange chosen = choose_exchange(typed);
  ExpertLayout layout = ExpertLayout::contiguous;
  for (const std::string operation : {"dispatch", "combine"}) {
    auto outcome =
        read_exchange_record(exchange_form(typed, chosen.algorithm, operation), calibration);
    if (auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
    auto& read = std::get<RecordedExchange>(outcome);
    layout = layout_after(read, timer);
    layer.note = note_of(chosen, read);
    const bool first = operation == "dispatch";
    if (layer.part == "layer" || first == (layer.part == "layer0"))
      (first ? layer.before : layer.after) = std::move(read);
  }
  if (layer.overlapped)
    layer.note += "; each exchange beside its product, hidden as far as the longer of both lasts";
  add_products(typed, timer, layout, layer);
  return layer;
}

}  // namespace moesim
