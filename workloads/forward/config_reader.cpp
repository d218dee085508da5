// The checked reader of config.json and the list of keys that change nothing in a forward pass.
#include "workloads/forward/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

namespace moesim {
namespace {

// Training, generation and bookkeeping keys of the hub's configurations.
constexpr std::string_view kHarmlessKeys[] = {"add_cross_attention",
                                              "architectures",
                                              "attention_dropout",
                                              "auto_map",
                                              "aux_loss_alpha",
                                              "bad_words_ids",
                                              "begin_suppress_tokens",
                                              "bos_token_id",
                                              "chunk_size_feed_forward",
                                              "cross_attention_hidden_size",
                                              "decoder_start_token_id",
                                              "diversity_penalty",
                                              "do_sample",
                                              "dtype",
                                              "early_stopping",
                                              "embd_pdrop",
                                              "encoder_no_repeat_ngram_size",
                                              "eos_token_id",
                                              "ep_size",
                                              "exponential_decay_length_penalty",
                                              "finetuning_task",
                                              "forced_bos_token_id",
                                              "forced_eos_token_id",
                                              "hidden_dropout",
                                              "id2label",
                                              "initializer_range",
                                              "is_decoder",
                                              "is_encoder_decoder",
                                              "label2id",
                                              "length_penalty",
                                              "max_length",
                                              "max_position_embeddings",
                                              "max_window_layers",
                                              "min_length",
                                              "model_type",
                                              "no_repeat_ngram_size",
                                              "num_beam_groups",
                                              "num_beams",
                                              "num_nextn_predict_layers",
                                              "num_return_sequences",
                                              "output_attentions",
                                              "output_hidden_states",
                                              "output_router_logits",
                                              "output_scores",
                                              "pad_token_id",
                                              "prefix",
                                              "pretraining_tp",
                                              "problem_type",
                                              "pruned_heads",
                                              "remove_invalid_values",
                                              "repetition_penalty",
                                              "resid_pdrop",
                                              "return_dict",
                                              "return_dict_in_generate",
                                              "router_aux_loss_coef",
                                              "router_jitter_noise",
                                              "router_z_loss_coef",
                                              "sep_token_id",
                                              "seq_aux",
                                              "suppress_tokens",
                                              "task_specific_params",
                                              "temperature",
                                              "tf_legacy_loss",
                                              "tie_encoder_decoder",
                                              "tokenizer_class",
                                              "top_k",
                                              "top_p",
                                              "torch_dtype",
                                              "torchscript",
                                              "transformers_version",
                                              "typical_p",
                                              "use_bfloat16",
                                              "use_cache"};

constexpr std::int64_t kLargestSize = std::numeric_limits<std::int32_t>::max();

bool is_harmless(const std::string& key) {
  return std::find(std::begin(kHarmlessKeys), std::end(kHarmlessKeys), key) !=
         std::end(kHarmlessKeys);
}

std::string short_text(const nlohmann::json& value) {
  constexpr std::size_t kLength = 80;
  std::string text = value.dump();
  return text.size() <= kLength ? text : text.substr(0, kLength) + "...";
}

}  // namespace

std::optional<JsonNode> ConfigReader::find(const std::string& key) {
  read_.insert(key);
  return root_.find(key);
}

std::int64_t ConfigReader::size(const std::string& key) {
  read_.insert(key);
  return root_.at(key).as_int(1, kLargestSize);
}

std::int64_t ConfigReader::size_or(const std::string& key, std::int64_t absent, std::int64_t low) {
  const auto value = find(key);
  return value ? value->as_int(low, kLargestSize) : absent;
}

double ConfigReader::number_or(const std::string& key, double absent) {
  const auto value = find(key);
  return value ? value->as_number() : absent;
}

float ConfigReader::epsilon_or(const std::string& key, double absent) {
  const double value = number_or(key, absent);
  if (!(value >= 0 && value <= 1)) fail(key, fmt::format("is {}; allowed: 0 to 1", value));
  return static_cast<float>(value);
}

bool ConfigReader::flag_or(const std::string& key, bool absent) {
  const auto value = find(key);
  return value ? value->as_bool() : absent;
}

bool ConfigReader::is_null(const std::string& key) { return root_.has(key) && !find(key); }

std::string ConfigReader::model_type() {
  read_.insert("model_type");
  return root_.at("model_type").as_string();
}

void ConfigReader::only(const std::string& key, const nlohmann::json& implemented) {
  const auto value = find(key);
  if (value && value->json() != implemented)
    value->fail(fmt::format("{} is not implemented; only {} is", short_text(value->json()),
                            short_text(implemented)));
}

void ConfigReader::fail(const std::string& key, const std::string& message) const {
  root_.at(key).fail(message);
}

void ConfigReader::refuse_unread() const {
  for (const std::string& key : root_.keys()) {
    if (key.starts_with("_") || read_.count(key) != 0 || is_harmless(key)) continue;
    const auto value = root_.find(key);
    if (!value) continue;  // null
    value->fail(fmt::format(
        "{} is not implemented by the forward pass of model_type \"{}\"; remove the key if it "
        "changes no result",
        short_text(value->json()), root_.at("model_type").as_string()));
  }
}

}  // namespace moesim
