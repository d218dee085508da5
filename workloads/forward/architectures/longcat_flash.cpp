// LongCat-Flash (arXiv 2509.01322; transformers v4.57.1 and 5.x modular_longcat_flash.py): a layer
// holds two latent attentions and two dense parts; a mixture reads the first attention's result and
// joins behind the second dense part. Some of its experts return their input. No golden vectors:
// checked against a naive double-precision decoder written from those formulas (tests).
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/kernels.h"
#include "workloads/forward/latent_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

struct LongcatParameters {
  DecoderFrame frame;
  LatentParameters attention;
  MoeParameters moe;
  std::int64_t dense_width = 0;
};

// One attention and the dense part behind it.
struct Half {
  Norm attention_norm, ffn_norm;
  std::unique_ptr<Mixer> attention;
  Network dense;
};

class LongcatLayer : public DecoderLayer {
 public:
  LongcatLayer(std::array<Half, 2> halves, std::unique_ptr<FeedForward> moe)
      : halves_(std::move(halves)), moe_(std::move(moe)) {}

  bool routed() const override { return true; }

  std::unique_ptr<PartState> new_state() const override {
    auto state = std::make_unique<State>();
    for (std::size_t half = 0; half < 2; ++half)
      state->attention[half] = halves_[half].attention->new_state();
    return state;
  }

  void run(const ForwardStep& step,
           const Matrix& x,
           PartStates states,
           RoutingSink& sink) const override {
    const Rows normed(x.rows, x.columns), change(x.rows, x.columns), shortcut(x.rows, x.columns);
    for (std::size_t half = 0; half < 2; ++half) {
      const Half& parts = halves_[half];
      std::vector<PartState*> of_half;
      of_half.reserve(states.size());
      for (PartState* state : states)
        of_half.push_back(static_cast<State*>(state)->attention[half].get());
      parts.attention_norm.apply(x.read(), normed.view);
      parts.attention->run(step, normed.read(), change.view, of_half);
      add(change.view, x);
      parts.ffn_norm.apply(x.read(), normed.view);
      if (half == 0) {
        moe_->run(step, normed.read(), shortcut.view, sink);
        if (sink.router_only) return;
      }
      run_network(step.pool, parts.dense, normed.read(), change.view);
      add(change.view, x);
    }
    add(shortcut.view, x);
  }

 private:
  struct State : PartState {
    std::array<std::unique_ptr<PartState>, 2> attention;
  };

  static void add(const Matrix& change, const Matrix& x) {
    for (std::int64_t row = 0; row < x.rows; ++row)
      add_scaled({change.row(row), static_cast<std::size_t>(x.columns)}, 1, x.row(row));
  }

  std::array<Half, 2> halves_;
  std::unique_ptr<FeedForward> moe_;
};

LatentParameters read_attention(ConfigReader& config, std::int64_t hidden) {
  LatentParameters attention = read_latent(config, hidden);
  attention.rope = read_rope(config, attention.rotated_dim, 1e7);
  attention.rope.interleaved = true;
  config.only("rope_interleave", true);
  config.only("attention_method", "MLA");
  config.only("mla_scale_q_lora", true);
  config.only("mla_scale_kv_lora", true);
  if (attention.query_rank == 0)
    config.fail("model_type", "q_lora_rank must be given: queries are scaled by it");
  const auto width = static_cast<double>(hidden);
  attention.query_scale = std::sqrt(width / static_cast<double>(attention.query_rank));
  attention.latent_scale =
      static_cast<float>(std::sqrt(width / static_cast<double>(attention.key_value_rank)));
  return attention;
}

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe;
  moe.hidden = hidden;
  moe.experts = config.size_or("n_routed_experts", 512);
  moe.zero_experts = config.size_or("zero_expert_num", 256, 0);
  moe.top_k = config.size_or("moe_topk", 12);
  moe.width = config.size_or("expert_ffn_hidden_size", 2048);
  moe.routing.scale = config.number_or("routed_scaling_factor", 6.0);
  moe.router = Catalog<Router>::instance().at("zero_experts", "router");
  if (moe.top_k > moe.experts + moe.zero_experts)
    config.fail("moe_topk", fmt::format("{} exceeds the {} experts and {} zero experts", moe.top_k,
                                        moe.experts, moe.zero_experts));
  check_experts(config, "n_routed_experts", moe);
  config.only("num_experts_per_tok", moe.top_k);
  config.only("zero_expert_type", "identity");
  config.only("router_bias", false);
  config.only("norm_topk_prob", false);
  config.only("router_dtype", "float32");
  return moe;
}

LongcatParameters read_parameters(ConfigReader& config) {
  LongcatParameters parameters;
  DecoderFrame& frame = parameters.frame;
  frame.vocabulary = config.size("vocab_size");
  frame.hidden = config.size("hidden_size");
  frame.layers = config.size_or("num_layers", 28);
  config.only("num_hidden_layers", 2 * frame.layers);  // the hub's class counts attentions
  frame.norm_epsilon = config.epsilon_or("rms_norm_eps", 1e-5);
  frame.tied = config.flag_or("tie_word_embeddings", false);
  config.only("hidden_act", "silu");
  set_layer_range(config, frame);
  parameters.attention = read_attention(config, frame.hidden);
  parameters.moe = read_moe(config, frame.hidden);
  parameters.dense_width = config.size_or("ffn_hidden_size", 12288);
  return parameters;
}

std::unique_ptr<DecoderLayer> load_layer(const LongcatParameters& parameters,
                                         const std::shared_ptr<Rope>& rope,
                                         const Checkpoint& weights,
                                         const std::string& prefix) {
  const DecoderFrame& frame = parameters.frame;
  const MoeParameters& moe = parameters.moe;
  std::array<Half, 2> halves;
  for (std::size_t half = 0; half < 2; ++half) {
    const auto norm = [&](const char* name) {
      return load_rms_norm(weights, fmt::format("{}{}.{}", prefix, name, half), frame.hidden,
                           frame.norm_epsilon);
    };
    halves[half].attention_norm = norm("input_layernorm");
    halves[half].ffn_norm = norm("post_attention_layernorm");
    halves[half].attention = load_latent(parameters.attention, rope, weights,
                                         fmt::format("{}self_attn.{}.", prefix, half));
    halves[half].dense = load_network(weights, fmt::format("{}mlps.{}.", prefix, half), {},
                                      {frame.hidden, parameters.dense_width, {}, false});
  }
  const std::string block = prefix + "mlp.", router = block + "router.";
  const std::int64_t columns = moe.experts + moe.zero_experts;
  MoeWeights loaded;
  loaded.router = weights.matrix(router + "classifier.weight", columns, frame.hidden);
  loaded.correction_bias = weights.vector(router + "e_score_correction_bias", columns);
  loaded.experts.reserve(static_cast<std::size_t>(moe.experts));
  for (std::int64_t expert = 0; expert < moe.experts; ++expert)
    loaded.experts.push_back(load_network(weights, fmt::format("{}experts.{}.", block, expert), {},
                                          {frame.hidden, moe.width, {}, false}));
  return std::make_unique<LongcatLayer>(std::move(halves), make_moe(moe, std::move(loaded)));
}

DecoderLoader read_longcat_flash(ConfigReader& config) {
  const LongcatParameters parameters = read_parameters(config);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(parameters.attention.rope);
    Decoder decoder =
        load_frame(parameters.frame, weights, [&](std::int64_t, const std::string& prefix) {
          return load_layer(parameters, rope, weights, prefix);
        });
    decoder.experts = parameters.moe.experts;
    decoder.top_k = parameters.moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "longcat_flash",
    "LongCat-Flash: two attentions a layer, zero-computation experts",
    {read_longcat_flash}};

}  // namespace
}  // namespace moesim
