// MiniMax-M3: index heads choose blocks of tokens in all but the leading, dense layers.
// Keys of the published configuration; the same layout is read by vLLM's and SGLang's minimax_m3.
// The recorded parameter counts leave the index heads and the norms of queries and keys out.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

AttentionShape sparse_shape(const JsonNode& sparse, AttentionShape shape) {
  shape.index_heads = count_at(sparse, "sparse_num_index_heads");
  shape.index_head_dim = count_at(sparse, "sparse_index_dim");
  shape.index_topk = sparse.at("sparse_topk_blocks").as_int(1, 1 << 20) *
                     sparse.at("sparse_block_size").as_int(1, 1 << 20);
  return shape;
}

void set_sparse_layers(const JsonNode& config, MoeModel& model) {
  const auto found = config.find("sparse_attention_config");
  if (!found || !flag_or(*found, "use_sparse_attention", true)) return;
  const auto sparse = list_by_layer(*found, "sparse_attention_freq", model.layers.size());
  const auto no_value = list_by_layer(*found, "sparse_disable_index_value", model.layers.size());
  for (std::size_t i = 0; i < sparse.size(); ++i) {
    if (sparse[i].as_int(0, 1) == 0) continue;
    if (no_value[i].as_int(0, 1) == 0) {
      no_value[i].fail("0 in a sparse layer, index heads with values, is not implemented");
    }
    model.layers[i].attention = sparse_shape(*found, model.layers[i].attention);
  }
}

void read_minimax_m3(const JsonNode& config, MoeModel& model) {
  refuse_if(config, "attention_output_gate", flag_or(config, "attention_output_gate", false),
            "true is not implemented");
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.counts_extras = false;
  if (flag_or(config, "use_qk_norm", true)) {
    if (const auto type = config.find("qk_norm_type")) {
      type->as_choice({"per_head"}, "norm of queries and keys");
    }
    attention.qk_norm_width = 2 * attention.head_dim;
  }
  set_layers(config, attention, model);
  set_sparse_layers(config, model);
  const char* width =
      config.find("moe_intermediate_size") ? "moe_intermediate_size" : "intermediate_size";
  set_experts(config, "num_local_experts", width, model);
  set_dense_by_list(config, "moe_layer_freq", count_at(config, "dense_intermediate_size"), model);
  model.shared_experts = count_or(config, "n_shared_experts", 0);
  if (model.shared_experts > 0) {
    refuse_if(config, "n_shared_experts", model.shared_experts > 1024, "must be at most 1024");
    model.shared_width = model.shared_experts * count_at(config, "shared_intermediate_size");
  }
  model.correction_bias = flag_or(config, "use_routing_bias", true);
}

const Registered<ArchitectureReader> registered{"minimax_m3", "MiniMax-M3", {read_minimax_m3}};

}  // namespace
}  // namespace moesim
