// attention: the kernel of grouped-query or latent attention, the latter with or without a choice
// of tokens, or the whole layer with its projections.
#include <fmt/format.h>

#include <algorithm>

#include "sim/validate/eager_time.h"
#include "sim/validate/kernel_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

// The attention layer that the record means: grouped queries as stated; of latent attention the
// model's own, or DeepSeek's where it names none.
AttentionShape shape_of(const JsonNode& typed, const MoeModel& model) {
  if (typed.at("part").as_string() == "gqa") {
    AttentionShape shape;
    shape.heads = typed.at("heads").as_int(1, 65536);
    shape.kv_heads = typed.at("kv_heads").as_int(1, shape.heads);
    shape.head_dim = typed.at("head_dim").as_int(1, 65536);
    return shape;
  }
  for (const LayerShape& layer : model.layers)
    if (layer.attention.kind != AttentionKind::none && !layer.attention.recurrent())
      return layer.attention;
  typed.at("model").fail("model \"" + model.name + "\" has no attention");
}

std::vector<BatchEntry> entries_of(const JsonNode& typed) {
  BatchEntry entry;
  entry.phase = typed.at("phase").as_choice({"prefill", "decode"}, "phase") == "prefill"
                    ? Phase::prefill
                    : Phase::decode;
  entry.new_tokens = static_cast<int>(typed.at("sequence").as_int(1, 1 << 30));
  entry.context = static_cast<int>(typed.at("context").as_int(0, 1 << 30));
  // Of sparse attention the context is what every query chooses, from a longer one.
  if (typed.at("part").as_string() != "sparse_mla")
    entry.context = std::max(0, entry.context - entry.new_tokens);
  return std::vector<BatchEntry>(static_cast<std::size_t>(typed.at("batch").as_int(1, 1 << 20)),
                                 entry);
}

bool is_kernel(const KernelWork& work) { return work.kernel.starts_with("attention_"); }

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& /*calibration*/) {
  const JsonNode& typed = *record.typed;
  const std::string reason = kernel_refusal(typed, {"gqa", "mla", "mla_module", "sparse_mla"});
  if (!reason.empty()) return Unmapped{reason};
  const std::string part = typed.at("part").as_string();
  const bool sparse = part == "sparse_mla", module = part == "mla_module";
  const MoeModel model =
      load_model(text_of(typed, "model", sparse ? "deepseek-v3.2" : "deepseek-v3"));
  AttentionShape shape = shape_of(typed, model);
  if (sparse) shape.index_topk = typed.at("context").as_int(1, 1 << 30);
  const Accelerator accelerator = load_accelerator(accelerator_file(typed.at("accelerator")));
  const KernelTimer timer(accelerator);
  const WeightFormat format = weight_format(typed);
  timer.check_precision(format);
  const std::int64_t heads = typed.at("heads").as_int(1, 65536);
  const AttentionInputs inputs{shape,
                               model.hidden,
                               heads,
                               std::min(heads, shape.kv_heads),
                               format,
                               timer.compute_precision(format),
                               activation_bytes(timer.compute_precision(format))};
  std::vector<KernelWork> works = attention_work(inputs, entries_of(typed));
  if (module) {
    works.erase(works.begin());  // the norm, which benchmarks leave to what stands before
  } else {
    std::erase_if(works, [](const KernelWork& work) { return !is_kernel(work); });
  }
  double counted = 0;
  for (const KernelWork& work : works) counted += work.flops.value;
  Prediction prediction = predict_kernels(
      typed, timer,
      {"attention " + part + " " + typed.at("phase").as_string(),
       fmt::format("{}, {} sequences of {} new and {} in all, {} heads, {}",
                   typed.at("accelerator").as_string(), typed.at("batch").as_int(1, 1 << 20),
                   typed.at("sequence").as_int(1, 1 << 30), typed.at("context").as_int(0, 1 << 30),
                   heads, typed.at("dtype").as_string()),
       "", works, counted});
  if (module && typed.at("phase").as_string() == "prefill")
    prediction.predicted = eager_time(prediction.predicted, "attention_layer");
  else if (!module && text_of(typed, "timing") != "kernel")
    prediction.predicted += timer.call_time(works);
  set_times(typed, counted, prediction);  // anew, of what it is now
  return prediction;
}

const Registered<RecordKind> registered{
    "attention", "attention's kernel, or its layer with the projections", {predict, {}}};

}  // namespace
}  // namespace moesim
