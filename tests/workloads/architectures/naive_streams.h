// Hyper-connections in double precision, written from transformers' modeling_deepseek_v4.py
// (DeepseekV4HyperConnection, DeepseekV4HyperHead).
#pragma once

#include "tests/workloads/architectures/tiny_model.h"

namespace moesim::naive {

class NaiveStreams {
 public:
  explicit NaiveStreams(TinyModel& model)
      : m_(model), hidden_(model.size("hidden_size")), streams_(model.size("hc_mult")) {}

 protected:
  static constexpr double kEpsilon = 1e-6;

  Row normed(const std::string& name, const Row& x) {
    return rms(x, m_.vector(name + ".weight", static_cast<std::int64_t>(x.size()), 1, 0.1),
               kEpsilon);
  }
  Row stream_of(const Row& x, std::int64_t stream) const {
    return {x.begin() + stream * hidden_, x.begin() + (stream + 1) * hidden_};
  }
  Row head_weights(const Row& x) {
    Row mixes = times(m_.matrix("hc_head_fn", streams_, streams_ * hidden_), rms(x, {}, kEpsilon));
    const Row base = m_.vector("hc_head_base", streams_, 0, 0.5);
    const double scale = m_.vector("hc_head_scale", 1, 1, 0.1)[0];
    for (std::size_t i = 0; i < mixes.size(); ++i)
      mixes[i] = logistic(mixes[i] * scale + base[i]) + kEpsilon;
    return mixes;
  }

  // x[to] = post[to] * part(norm(sum of pre * x)) + sum over from of comb[from][to] * x[from]
  template <class Part>
  void connect(Matrix2& x, const std::string& prefix, const std::string& norm, const Part& part) {
    const auto n = static_cast<std::size_t>(streams_);
    const std::int64_t rows = (2 + streams_) * streams_;
    const Row base = m_.vector(prefix + "base", rows, 0, 0.5);
    const Row scale = m_.vector(prefix + "scale", 3, 1, 0.1);
    Matrix2 inputs, posts;
    std::vector<Matrix2> combs;
    for (const Row& row : x) {
      const Row raw =
          times(m_.matrix(prefix + "fn", rows, streams_ * hidden_), rms(row, {}, kEpsilon));
      Row input(static_cast<std::size_t>(hidden_), 0.0), post;
      for (std::size_t i = 0; i < n; ++i) {
        input = sum(input, stream_of(row, static_cast<std::int64_t>(i)),
                    logistic(raw[i] * scale[0] + base[i]) + kEpsilon);
        post.push_back(2 * logistic(raw[n + i] * scale[1] + base[n + i]));
      }
      Matrix2 comb;
      for (std::size_t i = 0; i < n; ++i) {
        Row line;
        for (std::size_t j = 0; j < n; ++j)
          line.push_back(raw[2 * n + i * n + j] * scale[2] + base[2 * n + i * n + j]);
        comb.push_back(softmax_of(line));
        for (double& value : comb.back()) value += kEpsilon;
      }
      sinkhorn(comb);
      inputs.push_back(normed(norm, input));
      posts.push_back(post);
      combs.push_back(comb);
    }
    const Matrix2 changes = part(inputs);
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row next;
      for (std::size_t to = 0; to < n; ++to) {
        Row stream(static_cast<std::size_t>(hidden_), 0.0);
        stream = sum(stream, changes[t], posts[t][to]);
        for (std::size_t from = 0; from < n; ++from)
          stream =
              sum(stream, stream_of(x[t], static_cast<std::int64_t>(from)), combs[t][from][to]);
        next.insert(next.end(), stream.begin(), stream.end());
      }
      x[t] = next;
    }
  }

  void sinkhorn(Matrix2& comb) const {
    const auto columns = [&comb] {
      for (std::size_t j = 0; j < comb.size(); ++j) {
        double total = kEpsilon;
        for (const Row& row : comb) total += row[j];
        for (Row& row : comb) row[j] /= total;
      }
    };
    columns();
    for (std::int64_t i = 1; i < m_.size("hc_sinkhorn_iters"); ++i) {
      for (Row& row : comb) {
        const double total = std::accumulate(row.begin(), row.end(), kEpsilon);
        for (double& value : row) value /= total;
      }
      columns();
    }
  }

  TinyModel& m_;
  std::int64_t hidden_, streams_;
};

}  // namespace moesim::naive
