// A decoder in plain double-precision loops, put together from an attention, feed-forward parts and
// a router given as functions: the oracle for configurations that no golden vectors exist for. It
// is written from the definitions and calls nothing of the product.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/workloads/architectures/naive_rope.h"

namespace moesim::naive {

// Experts of a token with their weights.
using Choice = std::vector<std::pair<std::size_t, double>>;

enum class HeadNorm { none, each, together };

struct AttentionPlan {
  std::int64_t heads = 1, kv_heads = 1, dim = 2;
  Turning turning;          // of the first dimensions of a head
  std::int64_t window = 0;  // 0 = every earlier token is seen
  HeadNorm norm = HeadNorm::none;
  double epsilon = 0;
  bool input_bias = false, output_bias = false;
};

inline Row project(
    TinyModel& model, const std::string& name, std::int64_t rows, const Row& x, bool bias) {
  Row y = times(model.matrix(name + ".weight", rows, static_cast<std::int64_t>(x.size())), x);
  return bias ? sum(std::move(y), model.vector(name + ".bias", rows, 0, 0.3)) : y;
}

inline Row slice(const Row& x, std::size_t first, std::size_t count) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

// Norms (as the plan says) and turns every head of `x`.
inline Row place_heads(TinyModel& model,
                       const std::string& norm,
                       const AttentionPlan& plan,
                       const Row& x,
                       double position) {
  const auto dim = static_cast<std::size_t>(plan.dim);
  Row all = x;
  if (plan.norm == HeadNorm::together)
    all = rms(x, model.vector(norm + ".weight", static_cast<std::int64_t>(x.size()), 1, 0.2),
              plan.epsilon);
  Row placed;
  for (std::size_t first = 0; first < all.size(); first += dim) {
    Row head = slice(all, first, dim);
    if (plan.norm == HeadNorm::each)
      head = rms(head, model.vector(norm + ".weight", plan.dim, 1, 0.2), plan.epsilon);
    turn_by(plan.turning, head, 0, position, false);
    placed.insert(placed.end(), head.begin(), head.end());
  }
  return placed;
}

// Each query head over the keys it sees: head h shares the keys of head h / (heads / kv_heads).
inline Row mix_heads(const AttentionPlan& plan,
                     const Row& query,
                     const Matrix2& keys,
                     const Matrix2& values) {
  const auto dim = static_cast<std::size_t>(plan.dim);
  std::vector<bool> seen(keys.size(), true);
  for (std::size_t key = 0; key < keys.size(); ++key)
    if (plan.window > 0 && key + static_cast<std::size_t>(plan.window) < keys.size())
      seen[key] = false;
  Row mixed;
  for (std::int64_t head = 0; head < plan.heads; ++head) {
    const std::size_t shared = static_cast<std::size_t>(head / (plan.heads / plan.kv_heads)) * dim;
    Matrix2 own_keys, own_values;
    for (std::size_t token = 0; token < keys.size(); ++token) {
      own_keys.push_back(slice(keys[token], shared, dim));
      own_values.push_back(slice(values[token], shared, dim));
    }
    const Row part = attend_to(slice(query, static_cast<std::size_t>(head) * dim, dim), own_keys,
                               own_values, 1 / std::sqrt(static_cast<double>(plan.dim)), seen);
    mixed.insert(mixed.end(), part.begin(), part.end());
  }
  return mixed;
}

// <prefix>{q,k,v,o}_proj and {q,k}_norm over normed rows.
inline Matrix2 grouped_attention(TinyModel& model,
                                 const std::string& prefix,
                                 const AttentionPlan& plan,
                                 const Matrix2& x) {
  Matrix2 keys, values, out;
  const std::int64_t key_rows = plan.kv_heads * plan.dim;
  for (std::size_t t = 0; t < x.size(); ++t) {
    const double position = static_cast<double>(t);
    const Row query = place_heads(
        model, prefix + "q_norm", plan,
        project(model, prefix + "q_proj", plan.heads * plan.dim, x[t], plan.input_bias), position);
    keys.push_back(place_heads(model, prefix + "k_norm", plan,
                               project(model, prefix + "k_proj", key_rows, x[t], plan.input_bias),
                               position));
    values.push_back(project(model, prefix + "v_proj", key_rows, x[t], plan.input_bias));
    out.push_back(project(model, prefix + "o_proj", static_cast<std::int64_t>(x[t].size()),
                          mix_heads(plan, query, keys, values), plan.output_bias));
  }
  return out;
}

struct LatentPlan {
  std::int64_t heads = 1, query_rank = 0, rank = 1, plain = 1, turned = 2, value = 1;
  Turning turning;
  bool neighbours = true, bias = false;
  double score_factor = 1;
};

inline Row latent_queries(TinyModel& model,
                          const std::string& prefix,
                          const LatentPlan& plan,
                          const Row& x) {
  const std::int64_t rows = plan.heads * (plan.plain + plan.turned);
  if (plan.query_rank == 0) return project(model, prefix + "q_proj", rows, x, false);
  const Row down =
      rms(project(model, prefix + "q_a_proj", plan.query_rank, x, plan.bias),
          model.vector(prefix + "q_a_layernorm.weight", plan.query_rank, 1, 0.2), 1e-6);
  return project(model, prefix + "q_b_proj", rows, down, false);
}

// Multi-head latent attention, unabsorbed.
inline Matrix2 latent_attention(TinyModel& model,
                                const std::string& prefix,
                                const LatentPlan& plan,
                                const Matrix2& x) {
  const auto plain = static_cast<std::size_t>(plan.plain);
  const auto turned = static_cast<std::size_t>(plan.turned);
  const auto value = static_cast<std::size_t>(plan.value),
             rank = static_cast<std::size_t>(plan.rank);
  std::vector<Matrix2> keys(static_cast<std::size_t>(plan.heads)), values(keys.size());
  Matrix2 out;
  for (std::size_t t = 0; t < x.size(); ++t) {
    const double position = static_cast<double>(t);
    const Row queries = latent_queries(model, prefix, plan, x[t]);
    Row down =
        project(model, prefix + "kv_a_proj_with_mqa", plan.rank + plan.turned, x[t], plan.bias);
    turn_by(plan.turning, down, rank, position, plan.neighbours);
    const Row latent = rms(slice(down, 0, rank),
                           model.vector(prefix + "kv_a_layernorm.weight", plan.rank, 1, 0.2), 1e-6);
    const Row up =
        project(model, prefix + "kv_b_proj", plan.heads * (plan.plain + plan.value), latent, false);
    Row mixed;
    for (std::size_t head = 0; head < keys.size(); ++head) {
      Row query = slice(queries, head * (plain + turned), plain + turned);
      turn_by(plan.turning, query, plain, position, plan.neighbours);
      Row key = slice(up, head * (plain + value), plain);
      key.insert(key.end(), down.begin() + plan.rank, down.end());
      keys[head].push_back(key);
      values[head].push_back(slice(up, head * (plain + value) + plain, value));
      const Row part = attend_to(query, keys[head], values[head],
                                 plan.score_factor / std::sqrt(static_cast<double>(plain + turned)),
                                 std::vector<bool>(t + 1, true));
      mixed.insert(mixed.end(), part.begin(), part.end());
    }
    out.push_back(project(model, prefix + "o_proj", static_cast<std::int64_t>(x[t].size()), mixed,
                          plan.bias));
  }
  return out;
}

struct MixturePlan {
  std::int64_t experts = 1, width = 1;
  std::vector<std::string> names{"gate_proj", "up_proj", "down_proj"};
  std::function<Choice(const std::string& prefix, const Row& logits)> route;
  std::string shared;  // its name; empty: there is none
  std::int64_t shared_width = 0;
  bool shared_gate = false;  // <shared>_gate
};

// Sum over the chosen experts, and the shared one; appends the choice by falling weight.
inline Row mixture(TinyModel& model,
                   const std::string& prefix,
                   const MixturePlan& plan,
                   const Row& x,
                   std::vector<std::uint16_t>& experts) {
  const auto hidden = static_cast<std::int64_t>(x.size());
  const Choice choice =
      plan.route(prefix, times(model.matrix(prefix + "gate.weight", plan.experts, hidden, 4), x));
  Row weights(static_cast<std::size_t>(plan.experts), 0.0), out(x.size(), 0.0);
  std::vector<std::size_t> chosen;
  for (const auto& [expert, weight] : choice) {
    weights[expert] = weight;
    chosen.push_back(expert);
  }
  std::sort(chosen.begin(), chosen.end());  // equal weights: the lower id first
  add_choice(chosen, weights, experts);
  for (std::size_t expert = 0; expert < weights.size(); ++expert)  // all: their tensors must exist
    out = sum(std::move(out),
              gated(model, prefix + "experts." + std::to_string(expert) + ".", plan.names, x,
                    plan.width, silu_times),
              weights[expert]);
  if (plan.shared.empty()) return out;
  double share = 1;
  if (plan.shared_gate)
    share = logistic(times(model.matrix(prefix + plan.shared + "_gate.weight", 1, hidden), x)[0]);
  return sum(std::move(out),
             gated(model, prefix + plan.shared + ".", plan.names, x, plan.shared_width, silu_times),
             share);
}

// softmax, k largest, perhaps divided by their sum, times a scale.
inline Choice softmax_choice(const Row& logits, std::size_t k, bool renormalise, double scale = 1) {
  const Row shares = softmax_of(logits);
  Choice choice;
  double total = 0;
  for (const std::size_t expert : largest(shares, k)) {
    choice.emplace_back(expert, shares[expert]);
    total += shares[expert];
  }
  for (auto& [expert, weight] : choice) weight *= scale / (renormalise ? total : 1);
  return choice;
}

// The k largest of `scores` within the groups kept: those whose `scored` best sum to the most.
struct Groups {
  std::size_t count = 1, kept = 1, scored = 2;
};
inline std::vector<std::size_t> grouped_choice(const Row& scores,
                                               std::size_t k,
                                               const Groups& groups) {
  const std::size_t size = scores.size() / groups.count;
  Row of_group;
  for (std::size_t group = 0; group < groups.count; ++group) {
    const Row members = slice(scores, group * size, size);
    double total = 0;
    for (const std::size_t best : largest(members, groups.scored)) total += members[best];
    of_group.push_back(total);
  }
  const std::vector<std::size_t> kept = largest(of_group, groups.kept);
  Row masked(scores);
  for (std::size_t expert = 0; expert < masked.size(); ++expert)
    if (std::find(kept.begin(), kept.end(), expert / size) == kept.end()) masked[expert] = -1e30;
  return largest(masked, k);
}

// What stands around the layers.
struct DecoderPlan {
  std::size_t layers = 1;
  std::int64_t hidden = 2;
  std::function<Row(const std::string& name, const Row& x)> norm;
  std::function<Matrix2(std::size_t layer, const std::string& prefix, const Matrix2& x)> mix;
  std::function<Row(std::size_t layer,
                    const std::string& prefix,
                    const Row& x,
                    std::vector<std::uint16_t>& experts)>
      feed;
  bool tied = false, head_bias = false;
  std::string embedding = "model.embed_tokens.weight", final_norm = "model.norm",
              layer_prefix = "model.layers.", mixer_norm = "input_layernorm",
              ffn_norm = "post_attention_layernorm";
};

inline Result run_naive(TinyModel& model,
                        const DecoderPlan& plan,
                        const std::vector<std::int32_t>& tokens) {
  const std::int64_t vocabulary = model.size("vocab_size");
  const Matrix2 embedding = model.matrix(plan.embedding, vocabulary, plan.hidden);
  Matrix2 x;
  for (const std::int32_t token : tokens) x.push_back(embedding[static_cast<std::size_t>(token)]);
  Result result;
  for (std::size_t layer = 0; layer < plan.layers; ++layer) {
    const std::string prefix = plan.layer_prefix + std::to_string(layer) + ".";
    Matrix2 normed;
    for (const Row& row : x) normed.push_back(plan.norm(prefix + plan.mixer_norm, row));
    const Matrix2 mixed = plan.mix(layer, prefix, normed);
    std::vector<std::uint16_t> experts;
    for (std::size_t t = 0; t < x.size(); ++t) {
      x[t] = sum(x[t], mixed[t]);
      x[t] = sum(x[t], plan.feed(layer, prefix, plan.norm(prefix + plan.ffn_norm, x[t]), experts));
    }
    if (!experts.empty()) result.experts.push_back(experts);
  }
  for (const Row& row : x) {
    Row logits =
        times(plan.tied ? embedding : model.matrix("lm_head.weight", vocabulary, plan.hidden),
              plan.norm(plan.final_norm, row));
    if (plan.head_bias) logits = sum(logits, model.vector("lm_head.bias", vocabulary, 0, 0.3));
    result.logits.insert(result.logits.end(), logits.begin(), logits.end());
  }
  return result;
}

// The norm of most decoders.
inline std::function<Row(const std::string& name, const Row& x)> rms_of(TinyModel& model,
                                                                        double epsilon) {
  return [&model, epsilon](const std::string& name, const Row& x) {
    return rms(x, model.vector(name + ".weight", static_cast<std::int64_t>(x.size()), 1, 0.2),
               epsilon);
  };
}

}  // namespace moesim::naive
