// DBRX (Databricks 2024; transformers v4.57.1 modeling_dbrx.py): one product for queries, keys and
// values, clamped; LayerNorm without biases; experts fused in three tensors.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

constexpr float kEpsilon = 1e-5F;  // torch's LayerNorm; the class has no key for it

// DBRX's keys stand in attn_config and ffn_config under names of their own; files that were made
// for other tools have them flat, under the names that the hub's other classes use.
class DbrxKeys {
 public:
  explicit DbrxKeys(ConfigReader& config)
      : config_(config), attention_(config.find("attn_config")), ffn_(config.find("ffn_config")) {
    if (attention_)
      attention_->allow_only({"attn_pdrop", "clip_qkv", "kv_n_heads", "rope_theta", "model_type"});
    if (ffn_)
      ffn_->allow_only({"ffn_act_fn", "ffn_hidden_size", "moe_jitter_eps", "moe_loss_weight",
                        "moe_normalize_expert_weights", "moe_num_experts", "moe_top_k",
                        "model_type"});
  }

  std::optional<JsonNode> attention(const std::string& key, const std::string& flat) {
    return either(attention_, key, flat);
  }
  std::optional<JsonNode> ffn(const std::string& key, const std::string& flat) {
    return either(ffn_, key, flat);
  }
  std::optional<JsonNode> own(const std::string& key, const std::string& flat) {
    return agreed(config_.find(key), config_.find(flat));
  }
  // Whether the class would see None.
  bool ffn_null(const std::string& key) {
    return ffn_ ? ffn_->has(key) && !ffn_->find(key) : config_.is_null(key);
  }

 private:
  std::optional<JsonNode> either(const std::optional<JsonNode>& group,
                                 const std::string& key,
                                 const std::string& flat) {
    return agreed(group ? group->find(key) : std::nullopt, config_.find(flat));
  }
  static std::optional<JsonNode> agreed(const std::optional<JsonNode>& first,
                                        const std::optional<JsonNode>& second) {
    if (first && second && first->json() != second->json())
      second->fail("is " + second->json().dump() + ", but the same under its other name is " +
                   first->json().dump());
    return first ? first : second;
  }

  ConfigReader& config_;
  std::optional<JsonNode> attention_, ffn_;
};

std::int64_t size_or(const std::optional<JsonNode>& node, std::int64_t absent) {
  return node ? node->as_int(1, 1LL << 31) : absent;
}

DecoderFrame read_dbrx_frame(ConfigReader& config, DbrxKeys& keys) {
  DecoderFrame frame;
  frame.vocabulary = config.size_or("vocab_size", 32000);
  frame.hidden = size_or(keys.own("d_model", "hidden_size"), 2048);
  frame.layers = size_or(keys.own("n_layers", "num_hidden_layers"), 24);
  frame.norm_epsilon = kEpsilon;
  frame.embedding = "transformer.wte.weight";
  frame.final_norm = "transformer.norm_f";
  frame.layer_prefix = "transformer.blocks.";
  config.only("tie_word_embeddings", false);
  config.only("layer_norm", "layernorm");
  config.ignore("emb_pdrop");
  config.ignore("max_seq_len");
  set_layer_range(config, frame);
  return frame;
}

GroupedQueryParameters read_attention(ConfigReader& config,
                                      DbrxKeys& keys,
                                      const DecoderFrame& frame) {
  GroupedQueryParameters attention;
  attention.hidden = frame.hidden;
  HeadShape& shape = attention.shape;
  shape.heads = size_or(keys.own("n_heads", "num_attention_heads"), 16);
  shape.kv_heads = size_or(keys.attention("kv_n_heads", "num_key_value_heads"), 1);
  const char* heads_key = config.find("n_heads") ? "n_heads" : "num_attention_heads";
  if (frame.hidden % shape.heads != 0 || frame.hidden / shape.heads % 2 != 0)
    config.fail(heads_key, "must divide the hidden size into heads of an even size");
  if (shape.heads % shape.kv_heads != 0)
    config.fail(heads_key, "must be a multiple of the number of key heads");
  shape.key_dim = shape.value_dim = frame.hidden / shape.heads;
  config.only("head_dim", shape.key_dim);
  if (const auto clip = keys.attention("clip_qkv", "clip_qkv"))
    attention.clip = clip->as_ratio(1e-6, 1e9);
  const auto theta = keys.attention("rope_theta", "rope_theta");
  attention.rope = read_rope(config, shape.key_dim, theta ? theta->as_number() : 1e4);
  return attention;
}

MoeParameters read_moe(ConfigReader& config, DbrxKeys& keys, const DecoderFrame& frame) {
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = size_or(keys.ffn("moe_num_experts", "num_local_experts"), 4);
  moe.top_k = size_or(keys.ffn("moe_top_k", "num_experts_per_tok"), 1);
  moe.width = size_or(keys.ffn("ffn_hidden_size", "intermediate_size"), 3584);
  moe.router = Catalog<Router>::instance().at("dbrx", "router");
  const char* order = "moe_normalize_expert_weights";
  moe.routing.renormalise = !keys.ffn_null(order);
  if (const auto p = keys.ffn(order, order)) moe.routing.norm_order = p->as_ratio(1e-3, 1e3);
  if (const auto activation = keys.ffn("ffn_act_fn", "ffn_act_fn"))
    if (activation->find("name") && activation->at("name").json() != "silu")
      activation->at("name").fail("only \"silu\" is implemented");
  if (moe.experts >= kNotRouted || moe.top_k > moe.experts)
    throw InputError("config.json: " + std::to_string(moe.top_k) + " of " +
                     std::to_string(moe.experts) +
                     " experts a token are not possible (moe_top_k, moe_num_experts)");
  config.only("hidden_act", "silu");
  return moe;
}

MoeWeights load_experts(const Checkpoint& weights,
                        const std::string& prefix,
                        const MoeParameters& moe) {
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "router.layer.weight", moe.experts, moe.hidden);
  loaded.experts.resize(static_cast<std::size_t>(moe.experts));
  for (std::int64_t expert = 0; expert < moe.experts; ++expert) {
    const auto slice = [&](const char* name, std::int64_t rows, bool transposed) {
      return Checkpoint::Request{.name = prefix + "experts.mlp." + name,
                                 .rows = rows,
                                 .slice = expert,
                                 .slices = moe.experts,
                                 .joined = true,
                                 .transposed = transposed};
    };
    Network& network = loaded.experts[static_cast<std::size_t>(expert)];
    network.up =
        weights.stacked({slice("w1", moe.width, false), slice("v1", moe.width, false)}, moe.hidden);
    network.down = weights.stacked({slice("w2", moe.hidden, true)}, moe.width);
  }
  return loaded;
}

DecoderLoader read_dbrx(ConfigReader& config) {
  DbrxKeys keys(config);
  const DecoderFrame frame = read_dbrx_frame(config, keys);
  const GroupedQueryParameters attention = read_attention(config, keys, frame);
  const MoeParameters moe = read_moe(config, keys, frame);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto norm = [&](const std::string& name) {
      return Norm{weights.vector(name + ".weight", frame.hidden), {}, kEpsilon, true};
    };
    Decoder decoder = load_frame(frame, weights, [&](std::int64_t, const std::string& prefix) {
      const std::string block = prefix + "norm_attn_norm.";
      const HeadShape& shape = attention.shape;
      GroupedQueryWeights projections;
      projections.qkv =
          weights.matrix(block + "attn.Wqkv.weight",
                         (shape.heads + 2 * shape.kv_heads) * shape.key_dim, frame.hidden);
      projections.output =
          weights.matrix(block + "attn.out_proj.weight", frame.hidden, frame.hidden);
      ResidualParts parts;
      parts.mixer_norm = norm(block + "norm_1");
      parts.ffn_norm = norm(block + "norm_2");
      parts.mixer = make_grouped_query(attention, rope, std::move(projections));
      parts.ffn = make_moe(moe, load_experts(weights, prefix + "ffn.", moe));
      return make_residual_layer(std::move(parts));
    });
    decoder.final_norm = norm(frame.final_norm);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "dbrx", "DBRX: clamped fused attention, L_p-normalised routing", {read_dbrx}};

}  // namespace
}  // namespace moesim
