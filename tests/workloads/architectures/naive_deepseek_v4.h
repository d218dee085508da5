// A naive DeepSeek-V4 written from the formulas of transformers' modeling_deepseek_v4.py: double
// precision, every entry and every mix computed anew for every token.
#pragma once

#include "tests/workloads/architectures/naive_streams.h"

namespace moesim::naive {

class NaiveV4 : NaiveStreams {
 public:
  explicit NaiveV4(TinyModel& model)
      : NaiveStreams(model),
        dim_(model.size("head_dim")),
        turned_(model.size("qk_rope_head_dim")) {}

  Result run(const std::vector<std::int32_t>& tokens) {
    const Matrix2 embedding = m_.matrix("embed.weight", m_.size("vocab_size"), hidden_, 8);
    Matrix2 x;  // [tokens][streams * hidden]
    for (const std::int32_t token : tokens) {
      Row row;
      for (std::int64_t stream = 0; stream < streams_; ++stream)
        row.insert(row.end(), embedding[static_cast<std::size_t>(token)].begin(),
                   embedding[static_cast<std::size_t>(token)].end());
      x.push_back(row);
    }
    Result result;
    for (std::size_t layer = 0; layer < m_.config["layer_types"].size(); ++layer) {
      const std::string prefix = "layers." + std::to_string(layer) + ".";
      connect(x, prefix + "hc_attn_", prefix + "attn_norm", [&](const Matrix2& in) {
        return attention(prefix + "attn.", in, m_.config["layer_types"][layer]);
      });
      result.experts.emplace_back();
      const bool hashed = static_cast<std::int64_t>(layer) < m_.size("num_hash_layers");
      connect(x, prefix + "hc_ffn_", prefix + "ffn_norm", [&](const Matrix2& in) {
        Matrix2 out;
        for (std::size_t t = 0; t < in.size(); ++t)
          out.push_back(
              moe(prefix + "ffn.", in[t], hashed ? tokens[t] : -1, result.experts.back()));
        return out;
      });
    }
    for (const Row& row : x) {
      const Row weights = head_weights(row);
      Row hidden(static_cast<std::size_t>(hidden_), 0.0);
      for (std::int64_t s = 0; s < streams_; ++s)
        hidden = sum(hidden, stream_of(row, s), weights[static_cast<std::size_t>(s)]);
      add_logits(m_, "head.weight", normed("norm", hidden), result.logits);
    }
    return result;
  }

 private:
  static constexpr double kLimit = 0.8;

  void turn_end(Row& head, double position, double theta, double direction = 1) const {
    turn(head, head.size() - static_cast<std::size_t>(turned_), static_cast<std::size_t>(turned_),
         position, theta, true, direction);
  }

  // Entry `window`: a softmax over its tokens, channel by channel; overlapping windows also take
  // the previous window's tokens, by their first projection.
  Row entry_of(const std::string& prefix,
               const Matrix2& x,
               std::size_t window,
               std::size_t ratio,
               std::int64_t dim,
               bool overlapping) {
    const std::int64_t width = overlapping ? 2 * dim : dim;
    const Matrix2 bias = m_.matrix(prefix + "ape", static_cast<std::int64_t>(ratio), width, 3);
    Matrix2 values, gates;
    for (std::size_t j = 0; j < 2 * ratio; ++j) {
      const bool previous = j < ratio;
      if (previous && (!overlapping || window == 0)) continue;
      const std::size_t t = window * ratio + j - ratio;
      const Row kv = times(m_.matrix(prefix + "wkv.weight", width, hidden_), x[t]);
      const Row gate =
          sum(times(m_.matrix(prefix + "wgate.weight", width, hidden_), x[t]), bias[j % ratio]);
      const std::int64_t first = previous ? 0 : width - dim;
      values.emplace_back(kv.begin() + first, kv.begin() + first + dim);
      gates.emplace_back(gate.begin() + first, gate.begin() + first + dim);
    }
    Row entry;
    for (std::size_t channel = 0; channel < static_cast<std::size_t>(dim); ++channel) {
      Row of_channel;
      for (const Row& gate : gates) of_channel.push_back(gate[channel]);
      const Row shares = softmax_of(of_channel);
      entry.push_back(0);
      for (std::size_t j = 0; j < shares.size(); ++j)
        entry.back() += shares[j] * values[j][channel];
    }
    entry = normed(prefix + "norm", entry);
    turn_end(entry, static_cast<double>(window * ratio), theta_of(true));
    return entry;
  }

  double theta_of(bool compressed) const {
    return m_.config[compressed ? "compress_rope_theta" : "rope_theta"].get<double>();
  }

  // Entries the token at `t` sees, chosen by the indexer where there is one.
  std::vector<bool> entries_seen(const std::string& prefix,
                                 const Matrix2& x,
                                 const Row& latent,
                                 std::size_t t,
                                 std::size_t ratio,
                                 bool sparse) {
    const std::size_t ended = (t + 1) / ratio;
    std::vector<bool> seen(ended, !sparse);
    if (!sparse) return seen;
    const std::int64_t heads = m_.size("index_n_heads"), dim = m_.size("index_head_dim");
    const Row queries =
        times(m_.matrix(prefix + "wq_b.weight", heads * dim, m_.size("q_lora_rank")), latent);
    const Row weights = times(m_.matrix(prefix + "weights_proj.weight", heads, hidden_), x[t]);
    Row scores;
    for (std::size_t window = 0; window < ended; ++window) {
      const Row key = entry_of(prefix + "compressor.", x, window, ratio, dim, true);
      scores.push_back(0);
      for (std::int64_t head = 0; head < heads; ++head) {
        Row query(queries.begin() + head * dim, queries.begin() + (head + 1) * dim);
        turn_end(query, static_cast<double>(t), theta_of(true));
        scores.back() += weights[static_cast<std::size_t>(head)] *
                         std::max(0.0, dot(query.data(), key.data(), key.size())) /
                         std::sqrt(static_cast<double>(dim * heads));
      }
    }
    for (const std::size_t window :
         largest(scores, static_cast<std::size_t>(m_.size("index_topk"))))
      seen[window] = true;
    return seen;
  }

  Matrix2 attention(const std::string& prefix, const Matrix2& x, const std::string& kind) {
    const std::int64_t heads = m_.size("num_attention_heads"), rank = m_.size("q_lora_rank");
    const bool compressed = kind != "sliding_attention";
    const bool sparse = kind == "compressed_sparse_attention";
    const std::size_t ratio = compressed ? m_.config["compress_rates"][kind].get<std::size_t>() : 1;
    const Row sinks = m_.vector(prefix + "attn_sink", heads, 0, 1);
    Matrix2 window_keys, out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const double position = static_cast<double>(t);
      const Row latent =
          normed(prefix + "q_norm", times(m_.matrix(prefix + "wq_a.weight", rank, hidden_), x[t]));
      const Row queries = times(m_.matrix(prefix + "wq_b.weight", heads * dim_, rank), latent);
      window_keys.push_back(
          normed(prefix + "kv_norm", times(m_.matrix(prefix + "wkv.weight", dim_, hidden_), x[t])));
      turn_end(window_keys.back(), position, theta_of(compressed));
      Matrix2 keys = window_keys;
      std::vector<bool> seen;
      for (std::size_t s = 0; s <= t; ++s)
        seen.push_back(s + static_cast<std::size_t>(m_.size("sliding_window")) > t);
      if (compressed) {
        const auto entries = entries_seen(prefix + "indexer.", x, latent, t, ratio, sparse);
        for (std::size_t window = 0; window < entries.size(); ++window) {
          keys.push_back(entry_of(prefix + "compressor.", x, window, ratio, dim_, sparse));
          seen.push_back(entries[window]);
        }
      }
      out.push_back(project_out(prefix, queries, keys, seen, sinks, position, compressed));
    }
    return out;
  }

  Row project_out(const std::string& prefix,
                  const Row& queries,
                  const Matrix2& keys,
                  const std::vector<bool>& seen,
                  const Row& sinks,
                  double position,
                  bool compressed) {
    const std::int64_t heads = m_.size("num_attention_heads"), groups = m_.size("o_groups");
    const std::int64_t rank = m_.size("o_lora_rank"), width = heads * dim_ / groups;
    Row mixed;
    for (std::int64_t head = 0; head < heads; ++head) {
      Row query =
          rms({queries.begin() + head * dim_, queries.begin() + (head + 1) * dim_}, {}, kEpsilon);
      turn_end(query, position, theta_of(compressed));
      Row part = attend_to(query, keys, keys, 1 / std::sqrt(static_cast<double>(dim_)), seen,
                           &sinks[static_cast<std::size_t>(head)]);
      turn_end(part, position, theta_of(compressed), -1);
      mixed.insert(mixed.end(), part.begin(), part.end());
    }
    const Matrix2 down = m_.matrix(prefix + "wo_a.weight", groups * rank, width);
    Row latent;
    for (std::int64_t row = 0; row < groups * rank; ++row)
      latent.push_back(dot(down[static_cast<std::size_t>(row)].data(),
                           mixed.data() + row / rank * width, static_cast<std::size_t>(width)));
    return times(m_.matrix(prefix + "wo_b.weight", hidden_, groups * rank), latent);
  }

  static double clamped(double gate, double up) {
    return silu_times(std::min(gate, kLimit), std::clamp(up, -kLimit, kLimit));
  }

  Row moe(const std::string& prefix,
          const Row& x,
          std::int32_t token,
          std::vector<std::uint16_t>& experts) {
    const std::int64_t count = m_.size("n_routed_experts");
    const std::int64_t width = m_.size("moe_intermediate_size");
    const std::int64_t top_k = m_.size("num_experts_per_tok");
    const std::vector<std::string> names{"w1", "w3", "w2"};
    Row scores = times(m_.matrix(prefix + "gate.weight", count, hidden_, 2), x);
    for (double& score : scores) score = std::sqrt(std::log1p(std::exp(score)));
    std::vector<std::size_t> chosen;
    if (token >= 0) {
      const auto table = m_.ids(prefix + "gate.tid2eid", m_.size("vocab_size"), top_k, count);
      const auto& row = table[static_cast<std::size_t>(token)];
      chosen.assign(row.begin(), row.end());
    } else {
      chosen = largest(sum(scores, m_.vector(prefix + "gate.bias", count, 0, 0.05)),
                       static_cast<std::size_t>(top_k));
    }
    double total = 1e-20;
    for (const std::size_t expert : chosen) total += scores[expert];
    Row out = gated(m_, prefix + "shared_experts.", names, x, width, clamped);
    for (std::size_t expert = 0; expert < static_cast<std::size_t>(count); ++expert) {
      const Row result =
          gated(m_, prefix + "experts." + std::to_string(expert) + ".", names, x, width, clamped);
      if (std::find(chosen.begin(), chosen.end(), expert) != chosen.end())
        out = sum(out, result, 1.5 * scores[expert] / total);
    }
    add_choice(chosen, scores, experts);
    return out;
  }

  std::int64_t dim_, turned_;
};

}  // namespace moesim::naive
