// LongCat-Flash: a layer is two latent attentions with a dense part each, and experts that read
// what the first dense part reads and are added after the second (LongCat-Flash report, arXiv
// 2509.01322, section 2). It is described as two layers: the first has the experts beside its dense
// part. Routing may choose zero experts, which return their input.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_longcat(const JsonNode& config, MoeModel& model) {
  LayerShape layer;
  layer.attention = latent_shape(config);
  layer.dense_width = count_at(config, "ffn_hidden_size");
  const auto layers = static_cast<std::size_t>(config.at("num_layers").as_int(1, 2048));
  model.layers.assign(2 * layers, layer);
  for (std::size_t i = 1; i < model.layers.size(); i += 2) model.layers[i].ffn = FfnKind::dense;
  model.experts = count_at(config, "n_routed_experts");
  model.top_k = count_at(config, "moe_topk");
  model.expert_width = count_at(config, "expert_ffn_hidden_size");
  model.zero_experts = count_or(config, "zero_expert_num", 0);
  if (const auto type = config.find("zero_expert_type")) {
    type->as_choice({"identity"}, "kind of zero expert");
  }
  model.router_bias = flag_or(config, "router_bias", false);
  model.correction_bias = true;
}

const Registered<ArchitectureReader> registered{"longcat_flash", "LongCat-Flash", {read_longcat}};

}  // namespace
}  // namespace moesim
