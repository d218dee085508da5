// Switch Transformer (arXiv 2101.03961; transformers v4.57.1 modeling_switch_transformers.py): T5's
// encoder and decoder, whose sparse layers send a token to one expert unless that is full. Checked
// against the golden vectors of that class.
//
// A call's tokens compete for capacity, as in that class: token by token nothing is dropped that a
// whole prefill would drop.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/moe.h"
#include "workloads/forward/relative_attention.h"

namespace moesim {
namespace {

// One of the two stacks.
struct Stack {
  std::string name;  // encoder or decoder
  bool decoder = false;
  std::int64_t layers = 0;
  std::int64_t sparse_step = 0;  // 0 = no sparse layer
  bool sparse(std::int64_t layer) const {
    return sparse_step == 1 || (sparse_step > 1 && layer % sparse_step == 1);
  }
};

struct SwitchParameters {
  DecoderFrame frame;
  RelativeAttentionShape attention;
  BucketParameters buckets;
  MoeParameters moe;
  std::int64_t dense_width = 0;
  Activation activation;
  bool router_bias = false;
  std::int32_t decoder_start = 0;
  Stack encoder, decoder;
};

Stack read_stack(ConfigReader& config,
                 const std::string& name,
                 std::int64_t layers,
                 const std::string& sparse_key) {
  Stack stack{name, name == "decoder", layers, 0};
  const std::int64_t sparse = config.size_or(sparse_key, 3, 0);
  if (sparse > 0) stack.sparse_step = layers / sparse;
  // Published configurations carry the derived value too, and the class lets it win.
  stack.sparse_step = config.size_or(name + "_sparse_step", stack.sparse_step, 0);
  return stack;
}

void read_attention(ConfigReader& config, SwitchParameters& parameters) {
  parameters.attention = {parameters.frame.hidden, config.size_or("num_heads", 12),
                          config.size_or("d_kv", 64)};
  constexpr std::int64_t kLeastBuckets = 4;  // an exact one in either direction
  parameters.buckets.buckets = config.size_or("relative_attention_num_buckets", 32, kLeastBuckets);
  parameters.buckets.max_distance = config.size_or("relative_attention_max_distance", 128);
  constexpr std::int64_t kLongest = 1 << 20;
  if (parameters.buckets.max_distance <= parameters.buckets.buckets / 2 ||
      parameters.buckets.max_distance > kLongest)
    config.fail("relative_attention_max_distance",
                fmt::format("must be above half of the {} buckets and at most {}",
                            parameters.buckets.buckets, kLongest));
}

ActivationKind activation_named(const JsonNode& name) {
  const std::string chosen = name.as_choice(
      {"relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish"}, "implemented activation");
  if (chosen == "relu") return ActivationKind::relu;
  if (chosen == "gelu") return ActivationKind::gelu;
  return chosen.starts_with("gelu") ? ActivationKind::gelu_tanh : ActivationKind::silu;
}

void read_moe(ConfigReader& config, SwitchParameters& parameters) {
  parameters.activation.kind = ActivationKind::relu;
  if (const auto name = config.find("dense_act_fn"))
    parameters.activation.kind = activation_named(*name);
  config.only("is_gated_act", false);
  config.only("feed_forward_proj", "relu");
  parameters.dense_width = config.size_or("d_ff", 2048);
  MoeParameters& moe = parameters.moe;
  moe.hidden = parameters.frame.hidden;
  moe.experts = config.size_or("num_experts", 8);
  moe.top_k = 1;
  moe.width = parameters.dense_width;
  moe.activation = parameters.activation;
  moe.router = Catalog<Router>::instance().at("switch", "router");
  moe.routing.capacity = config.size_or("expert_capacity", 64);
  check_experts(config, "num_experts", moe);
  config.only("num_experts_per_tok", 1);
  config.only("num_selected_experts", 1);
  config.only("router_dtype", "float32");
  config.only("router_type", "tokens_masked");
  parameters.router_bias = config.flag_or("router_bias", false);
  // The class reads these and uses them in training, or not at all.
  for (const char* unused : {"router_ignore_padding_tokens", "add_router_probs", "dropout_rate",
                             "initializer_factor", "output_past"})
    config.ignore(unused);
}

void read_stacks(ConfigReader& config, SwitchParameters& parameters) {
  const std::int64_t layers = config.size_or("num_layers", 12);
  parameters.encoder = read_stack(config, "encoder", layers, "num_sparse_encoder_layers");
  const bool given = config.find("num_decoder_layers").has_value();
  parameters.decoder =
      read_stack(config, "decoder", given ? config.size("num_decoder_layers") : layers,
                 "num_sparse_decoder_layers");
  parameters.frame.layers = parameters.encoder.layers + parameters.decoder.layers;
  set_layer_range(config, parameters.frame);
  if (parameters.frame.first_layer >= parameters.encoder.layers)
    throw InputError(fmt::format(
        "layers {}:{} hold none of the encoder's (0:{}), whose output the decoder reads",
        parameters.frame.first_layer, parameters.frame.end_layer, parameters.encoder.layers));
}

// Layers that run one after the other as one: T5's block holds two or three sublayers.
class Block : public DecoderLayer {
 public:
  explicit Block(std::vector<std::unique_ptr<DecoderLayer>> parts) : parts_(std::move(parts)) {}

  bool routed() const override { return parts_.back()->routed(); }

  std::unique_ptr<PartState> new_state() const override {
    auto state = std::make_unique<State>();
    for (const auto& part : parts_) state->parts.push_back(part->new_state());
    return state;
  }

  void run(const ForwardStep& step,
           const Matrix& x,
           PartStates states,
           RoutingSink& sink) const override {
    std::vector<PartState*> of_part(states.size());
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      for (std::size_t i = 0; i < states.size(); ++i)
        of_part[i] = static_cast<State*>(states[i])->parts[part].get();
      parts_[part]->run(step, x, of_part, sink);
    }
  }

 private:
  struct State : PartState {
    std::vector<std::unique_ptr<PartState>> parts;
  };
  std::vector<std::unique_ptr<DecoderLayer>> parts_;
};

class SwitchLoader {
 public:
  SwitchLoader(const SwitchParameters& parameters, const Checkpoint& weights)
      : parameters_(parameters), weights_(weights) {}

  Decoder load() const {
    const DecoderFrame& frame = parameters_.frame;
    Decoder decoder;
    decoder.vocabulary = frame.vocabulary;
    decoder.hidden = frame.hidden;
    decoder.embedding = weights_.matrix("shared.weight", frame.vocabulary, frame.hidden);
    decoder.head = frame.tied ? decoder.embedding
                              : weights_.matrix("lm_head.weight", frame.vocabulary, frame.hidden);
    if (frame.tied)
      decoder.logit_multiplier =
          static_cast<float>(1 / std::sqrt(static_cast<double>(frame.hidden)));
    decoder.encoder_norm = norm("encoder.final_layer_norm");
    decoder.final_norm = norm("decoder.final_layer_norm");
    load_stack(parameters_.encoder, 0, decoder);
    decoder.encoder_layers = decoder.layers.size();
    load_stack(parameters_.decoder, parameters_.encoder.layers, decoder);
    decoder.decoder_start = parameters_.decoder_start;
    decoder.whole_sequences = true;
    decoder.experts = parameters_.moe.experts;
    decoder.top_k = 1;
    return decoder;
  }

 private:
  Norm norm(const std::string& name) const {
    return load_rms_norm(weights_, name, parameters_.frame.hidden, parameters_.frame.norm_epsilon);
  }

  // The layers of the range that are this stack's; it begins at transformer layer `first`.
  void load_stack(const Stack& stack, std::int64_t first, Decoder& decoder) const {
    BucketParameters buckets = parameters_.buckets;
    buckets.bidirectional = !stack.decoder;
    const std::int64_t heads = parameters_.attention.heads;
    const auto table = weights_.matrix(
        stack.name + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        buckets.buckets, heads);
    const auto bias = std::make_shared<const RelativeBias>(buckets, heads, *table);
    for (std::int64_t layer = 0; layer < stack.layers; ++layer) {
      if (first + layer < parameters_.frame.first_layer ||
          first + layer >= parameters_.frame.end_layer)
        continue;
      decoder.layers.push_back(load_block(stack, layer, bias));
      decoder.layer_ids.push_back(static_cast<int>(first + layer));
    }
  }

  std::unique_ptr<DecoderLayer> load_block(const Stack& stack,
                                           std::int64_t layer,
                                           std::shared_ptr<const RelativeBias> bias) const {
    const std::string block = fmt::format("{}.block.{}.layer.", stack.name, layer);
    std::vector<std::unique_ptr<DecoderLayer>> parts;
    ResidualParts attention;
    attention.mixer_norm = norm(block + "0.layer_norm");
    attention.mixer = load_relative_attention(parameters_.attention, stack.decoder, std::move(bias),
                                              weights_, block + "0.SelfAttention.");
    parts.push_back(make_residual_layer(std::move(attention)));
    ResidualParts rest;
    if (stack.decoder) {
      rest.mixer_norm = norm(block + "1.layer_norm");
      rest.mixer =
          load_cross_attention(parameters_.attention, weights_, block + "1.EncDecAttention.");
    }
    const std::string ffn = block + (stack.decoder ? "2." : "1.");
    rest.ffn_norm = norm(ffn + "layer_norm");
    rest.ffn =
        stack.sparse(layer) ? load_sparse(ffn + "mlp.") : make_dense(load_expert(ffn + "mlp."));
    parts.push_back(make_residual_layer(std::move(rest)));
    return std::make_unique<Block>(std::move(parts));
  }

  Network load_expert(const std::string& prefix) const {
    return load_network(
        weights_, prefix, {"", "wi", "wo"},
        {parameters_.frame.hidden, parameters_.dense_width, parameters_.activation, false});
  }

  std::unique_ptr<FeedForward> load_sparse(const std::string& prefix) const {
    const MoeParameters& moe = parameters_.moe;
    MoeWeights loaded;
    const std::string router = prefix + "router.classifier.";
    loaded.router = weights_.matrix(router + "weight", moe.experts, moe.hidden);
    if (parameters_.router_bias) loaded.router_bias = weights_.vector(router + "bias", moe.experts);
    loaded.experts.reserve(static_cast<std::size_t>(moe.experts));
    for (std::int64_t expert = 0; expert < moe.experts; ++expert)
      loaded.experts.push_back(load_expert(fmt::format("{}experts.expert_{}.", prefix, expert)));
    return make_moe(moe, std::move(loaded));
  }

  const SwitchParameters& parameters_;
  const Checkpoint& weights_;
};

DecoderLoader read_switch_transformers(ConfigReader& config) {
  SwitchParameters parameters;
  DecoderFrame& frame = parameters.frame;
  frame.vocabulary = config.size_or("vocab_size", 32128);
  frame.hidden = config.size_or("d_model", 768);
  frame.norm_epsilon = config.epsilon_or("layer_norm_epsilon", 1e-6);
  frame.tied = config.flag_or("tie_word_embeddings", true);
  config.only("is_encoder_decoder", true);
  read_attention(config, parameters);
  read_moe(config, parameters);
  read_stacks(config, parameters);
  // Generation begins with it; the hub's class falls back on nothing, T5 on the padding token.
  for (const char* key : {"pad_token_id", "decoder_start_token_id"})
    if (const auto token = config.find(key))
      parameters.decoder_start = static_cast<std::int32_t>(token->as_int(0, frame.vocabulary - 1));
  return [=](const Checkpoint& weights) { return SwitchLoader(parameters, weights).load(); };
}

const Registered<Architecture> registered{
    "switch_transformers",
    "Switch Transformer: encoder-decoder, one expert a token, dropped when full",
    {read_switch_transformers}};

}  // namespace
}  // namespace moesim
