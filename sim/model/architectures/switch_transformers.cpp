// Switch Transformers: a T5 encoder and decoder (arXiv 2101.03961; transformers'
// modeling_switch_transformers.py), described as one list of layers, the encoder's first. The
// first layer of either side holds its relative bias.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

struct Side {
  std::int64_t layers = 0, sparse = 0;
  bool decoder = false;
};

// A side without sparse layers gets the step num_layers, as the configuration class computes it.
bool is_sparse(const Side& side, std::int64_t layer) {
  const std::int64_t step = side.sparse > 0 ? side.layers / side.sparse : side.layers;
  return step == 1 || (step > 1 && layer % step == 1);
}

void add_side(const JsonNode& config, const Side& side, MoeModel& model) {
  AttentionShape attention;
  attention.heads = attention.kv_heads = count_at(config, "num_heads");
  attention.head_dim = count_at(config, "d_kv");
  attention.encoder = !side.decoder;
  attention.cross = side.decoder;
  for (std::int64_t i = 0; i < side.layers; ++i) {
    LayerShape layer;
    layer.attention = attention;
    if (i == 0) {
      layer.attention.relative_buckets = config.find("relative_attention_num_buckets")
                                             ? count_at(config, "relative_attention_num_buckets")
                                             : 32;
    }
    if (!is_sparse(side, i)) set_dense(layer, count_at(config, "d_ff"));
    model.layers.push_back(layer);
  }
}

void read_switch(const JsonNode& config, MoeModel& model) {
  model.gated = false;
  if (const auto activation = config.find("dense_act_fn")) {
    activation->as_choice({"relu", "gelu", "gelu_new", "silu"}, "activation without a gate");
  }
  if (const auto projection = config.find("feed_forward_proj")) {
    projection->as_choice({"relu", "gelu"}, "feed-forward part without a gate");
  }
  Side encoder{config.at("num_layers").as_int(1, 2048),
               config.at("num_sparse_encoder_layers").as_int(0, 2048), false};
  Side decoder{config.find("num_decoder_layers") ? config.at("num_decoder_layers").as_int(1, 2048)
                                                 : encoder.layers,
               config.at("num_sparse_decoder_layers").as_int(0, 2048), true};
  model.encoder_layers = encoder.layers;
  model.layers.reserve(static_cast<std::size_t>(encoder.layers + decoder.layers));
  add_side(config, encoder, model);
  add_side(config, decoder, model);
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", true);
  model.experts = count_at(config, "num_experts");
  model.top_k = config.find("num_experts_per_tok") ? count_at(config, "num_experts_per_tok") : 1;
  model.expert_width = count_at(config, "d_ff");
  model.router_bias = flag_or(config, "router_bias", false);
}

const Registered<ArchitectureReader> registered{
    "switch_transformers", "Switch Transformers", {read_switch}};

}  // namespace
}  // namespace moesim
