// Gated DeltaNet and Mamba-2 by themselves, against loops written from the papers' recurrences.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/tiny_checkpoint.h"
#include "workloads/forward/gated_delta_net.h"
#include "workloads/forward/mamba2.h"

namespace moesim {
namespace {

using naive::TinyCheckpoint;
using naive::Vector;

std::vector<float> random_rows(std::size_t count) {
  Random random(3);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// Runs x [tokens][hidden] through the mixer, cut into calls of these sizes.
std::vector<float> run_mixer(const Mixer& mixer,
                             const std::vector<float>& x,
                             std::int64_t hidden,
                             const std::vector<std::int64_t>& calls) {
  ThreadPool pool(2);
  const auto state = mixer.new_state();
  std::vector<float> out(x.size());
  std::int64_t first = 0;
  for (const std::int64_t tokens : calls) {
    const Segment segment{0, tokens, first, first + tokens, {}};
    const ForwardStep step{pool, {&segment, 1}, {}, tokens};
    PartState* const states[] = {state.get()};
    mixer.run(step, {x.data() + first * hidden, tokens, hidden, hidden},
              {out.data() + first * hidden, tokens, hidden, hidden}, states);
    first += tokens;
  }
  return out;
}

// silu(bias + sum over the kernel of weight * the channel's last tokens) for every token.
naive::Matrix convolve(const TinyCheckpoint& weights, const naive::Matrix& x, bool bias) {
  const auto& tensor = weights.tensors.at("conv1d.weight");
  const auto kernel = static_cast<std::size_t>(tensor.shape[2]);
  naive::Matrix y;
  for (std::size_t t = 0; t < x.size(); ++t) {
    Vector& row = y.emplace_back(x[t].size());
    for (std::size_t c = 0; c < row.size(); ++c) {
      double sum = bias ? static_cast<double>(weights.values("conv1d.bias")[c]) : 0;
      for (std::size_t back = 0; back < kernel && back <= t; ++back)
        sum += static_cast<double>(tensor.values[c * kernel + kernel - 1 - back]) * x[t - back][c];
      row[c] = naive::silu(sum);
    }
  }
  return y;
}

Vector row_of(const std::vector<float>& x, std::size_t token, std::size_t hidden) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(token * hidden);
  return Vector(begin, begin + static_cast<std::ptrdiff_t>(hidden));
}

struct Delta {
  // Sizes that fill no vector and no block: 3 value heads a key head, 40 = 32 + 8 value columns.
  static constexpr std::size_t kHidden = 11, kKeyHeads = 2, kValueHeads = 6, kKey = 5, kValue = 40;
  TinyCheckpoint weights;
  GatedDeltaParameters parameters{.hidden = kHidden,
                                  .key_heads = kKeyHeads,
                                  .value_heads = kValueHeads,
                                  .key_dim = kKey,
                                  .value_dim = kValue,
                                  .kernel = 3,
                                  .norm_epsilon = 1e-6F};
  Delta() {
    weights.add_matrix("in_proj_qkv.weight", 2 * kKeyHeads * kKey + kValueHeads * kValue, kHidden);
    weights.add_matrix("in_proj_z.weight", kValueHeads * kValue, kHidden);
    weights.add_matrix("in_proj_b.weight", kValueHeads, kHidden);
    weights.add_matrix("in_proj_a.weight", kValueHeads, kHidden);
    weights.add("conv1d.weight", {2 * kKeyHeads * kKey + kValueHeads * kValue, 1, 3}, 0.6);
    weights.add("dt_bias", {kValueHeads}, 1);
    weights.add("A_log", {kValueHeads}, 1);
    weights.add_norm("norm.weight", kValue);
    weights.add_matrix("out_proj.weight", kHidden, kValueHeads * kValue);
  }

  static Vector unit(const Vector& x) {
    Vector y(x);
    for (double& value : y) value /= std::sqrt(naive::dot(x, x) + 1e-6);
    return y;
  }

  // One head: S [value][key], S_t = S_(t-1) decay (1 - rate k k^T) + rate v k^T, o = S q
  // (arXiv 2412.06464, equation 10), q scaled by 1 / sqrt(key_dim).
  naive::Matrix head(std::size_t h, const naive::Matrix& inputs, const naive::Matrix& mixed) const {
    naive::Matrix memory(kValue, Vector(kKey, 0.0)), out;
    for (std::size_t t = 0; t < mixed.size(); ++t) {
      const std::size_t g = h / (kValueHeads / kKeyHeads);
      const Vector q = unit(naive::part(mixed[t], g * kKey, kKey));
      const Vector k = unit(naive::part(mixed[t], (kKeyHeads + g) * kKey, kKey));
      const Vector v = naive::part(mixed[t], 2 * kKeyHeads * kKey + h * kValue, kValue);
      const double rate = naive::sigmoid(weights.times("in_proj_b.weight", inputs[t])[h]);
      const double step = naive::softplus(weights.times("in_proj_a.weight", inputs[t])[h] +
                                          static_cast<double>(weights.values("dt_bias")[h]));
      const double decay = std::exp(-std::exp(weights.vector("A_log")[h]) * step);
      Vector& row = out.emplace_back();
      for (std::size_t i = 0; i < kValue; ++i) {
        const double known = naive::dot(memory[i], k);
        for (std::size_t j = 0; j < kKey; ++j)
          memory[i][j] = decay * (memory[i][j] - rate * known * k[j]) + rate * v[i] * k[j];
        row.push_back(naive::dot(memory[i], q) / std::sqrt(static_cast<double>(kKey)));
      }
    }
    return out;
  }

  std::vector<float> expected(const std::vector<float>& x) const {
    const std::size_t tokens = x.size() / kHidden;
    naive::Matrix inputs, projected;
    for (std::size_t t = 0; t < tokens; ++t) {
      inputs.push_back(row_of(x, t, kHidden));
      projected.push_back(weights.times("in_proj_qkv.weight", inputs[t]));
    }
    const naive::Matrix mixed = convolve(weights, projected, false);
    naive::Matrix joined(tokens);
    for (std::size_t h = 0; h < kValueHeads; ++h) {
      const naive::Matrix read = head(h, inputs, mixed);
      for (std::size_t t = 0; t < tokens; ++t) {
        const Vector gate = weights.times("in_proj_z.weight", inputs[t]);
        const Vector normed = naive::rms_norm(read[t], weights.vector("norm.weight"), 1e-6);
        for (std::size_t i = 0; i < kValue; ++i)
          joined[t].push_back(normed[i] * naive::silu(gate[h * kValue + i]));
      }
    }
    std::vector<float> out;
    for (const Vector& row : joined)
      for (const double value : weights.times("out_proj.weight", row))
        out.push_back(static_cast<float>(value));
    return out;
  }
};

TEST_CASE("a Gated DeltaNet follows the paper's recurrence however its tokens are cut") {
  const Delta delta;
  const test::TemporaryFolder folder;
  delta.weights.write(folder.path());
  const Checkpoint checkpoint(folder.path());
  const auto mixer = load_gated_delta(delta.parameters, checkpoint, "");
  const std::vector<float> x = random_rows(9 * Delta::kHidden);
  const std::vector<float> expected = delta.expected(x);
  const auto whole = run_mixer(*mixer, x, Delta::kHidden, {9});
  CHECK(largest_difference(whole, expected) < 1e-5);
  CHECK(largest_difference(run_mixer(*mixer, x, Delta::kHidden, {1, 2, 5, 1}), expected) < 1e-5);
}

TEST_CASE("a recurrent state refuses to go back") {
  const Delta delta;
  const test::TemporaryFolder folder;
  delta.weights.write(folder.path());
  const Checkpoint checkpoint(folder.path());
  const auto mixer = load_gated_delta(delta.parameters, checkpoint, "");
  const auto state = mixer->new_state();
  ThreadPool pool(1);
  std::vector<float> x(Delta::kHidden), out(Delta::kHidden);
  const Segment begin{0, 1, 0, 1, {}};
  PartState* const states[] = {state.get()};
  const auto run = [&] {
    mixer->run({pool, {&begin, 1}, {}, 1}, {x.data(), 1, Delta::kHidden, Delta::kHidden},
               {out.data(), 1, Delta::kHidden, Delta::kHidden}, states);
  };
  run();
  CHECK_THROWS_AS(run(), std::logic_error);  // position 0 again
}

struct Mamba {
  static constexpr std::size_t kHidden = 7, kHeads = 6, kHead = 5, kGroups = 3, kState = 4;
  static constexpr std::size_t kInner = kHeads * kHead, kMixed = kInner + 2 * kGroups * kState;
  TinyCheckpoint weights;
  Mamba2Parameters parameters{.hidden = kHidden,
                              .heads = kHeads,
                              .head_dim = kHead,
                              .groups = kGroups,
                              .state_size = kState,
                              .kernel = 4,
                              .bias = true,
                              .convolution_bias = true,
                              .least_step = 0.3F,
                              .norm_epsilon = 1e-5F};
  Mamba() {
    weights.add_matrix("in_proj.weight", kInner + kMixed + kHeads, kHidden);
    weights.add("in_proj.bias", {kInner + kMixed + kHeads}, 0.3);
    weights.add("conv1d.weight", {kMixed, 1, 4}, 0.6);
    weights.add("conv1d.bias", {kMixed}, 0.3);
    weights.add("dt_bias", {kHeads}, 1, -1);
    weights.add("A_log", {kHeads}, 0.5);
    weights.add("D", {kHeads}, 1);
    weights.add_norm("norm.weight", kInner);
    weights.add_matrix("out_proj.weight", kHidden, kInner);
    weights.add("out_proj.bias", {kHidden}, 0.3);
  }

  // One head: h_t = exp(-A dt) h_(t-1) + dt x_t B_t^T, y = h C + D x (arXiv 2405.21060, section 2).
  naive::Matrix head(std::size_t h, const naive::Matrix& steps, const naive::Matrix& mixed) const {
    naive::Matrix memory(kHead, Vector(kState, 0.0)), out;
    for (std::size_t t = 0; t < mixed.size(); ++t) {
      const std::size_t g = h / (kHeads / kGroups);
      const Vector x = naive::part(mixed[t], h * kHead, kHead);
      const Vector b = naive::part(mixed[t], kInner + g * kState, kState);
      const Vector c = naive::part(mixed[t], kInner + (kGroups + g) * kState, kState);
      const double raw = naive::softplus(steps[t][h] + weights.vector("dt_bias")[h]);
      const double dt = std::max(raw, 0.3);
      Vector& row = out.emplace_back();
      for (std::size_t i = 0; i < kHead; ++i) {
        for (std::size_t j = 0; j < kState; ++j)
          memory[i][j] = std::exp(-std::exp(weights.vector("A_log")[h]) * dt) * memory[i][j] +
                         dt * x[i] * b[j];
        row.push_back(naive::dot(memory[i], c) + weights.vector("D")[h] * x[i]);
      }
    }
    return out;
  }

  std::vector<float> expected(const std::vector<float>& x) const {
    const std::size_t tokens = x.size() / kHidden;
    naive::Matrix gates, raw, steps;
    for (std::size_t t = 0; t < tokens; ++t) {
      Vector projected = weights.times("in_proj.weight", row_of(x, t, kHidden));
      naive::add_to(projected, weights.vector("in_proj.bias"));
      gates.push_back(naive::part(projected, 0, kInner));
      raw.push_back(naive::part(projected, kInner, kMixed));
      steps.push_back(naive::part(projected, kInner + kMixed, kHeads));
    }
    const naive::Matrix mixed = convolve(weights, raw, true);
    naive::Matrix joined(tokens);
    for (std::size_t h = 0; h < kHeads; ++h) {
      const naive::Matrix read = head(h, steps, mixed);
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t i = 0; i < kHead; ++i)
          joined[t].push_back(read[t][i] * naive::silu(gates[t][h * kHead + i]));
    }
    std::vector<float> out;
    for (const Vector& row : joined) append(finish(row), out);
    return out;
  }

  // The norm of each group, then the projection.
  Vector finish(const Vector& row) const {
    Vector normed;
    const std::size_t width = kInner / kGroups;
    for (std::size_t g = 0; g < kGroups; ++g)
      for (const double value :
           naive::rms_norm(naive::part(row, g * width, width),
                           naive::part(weights.vector("norm.weight"), g * width, width), 1e-5))
        normed.push_back(value);
    Vector out = weights.times("out_proj.weight", normed);
    naive::add_to(out, weights.vector("out_proj.bias"));
    return out;
  }

  static void append(const Vector& row, std::vector<float>& to) {
    for (const double value : row) to.push_back(static_cast<float>(value));
  }
};

TEST_CASE("a Mamba-2 follows the paper's recurrence however its tokens are cut") {
  const Mamba mamba;
  const test::TemporaryFolder folder;
  mamba.weights.write(folder.path());
  const Checkpoint checkpoint(folder.path());
  const auto mixer = load_mamba2(mamba.parameters, checkpoint, "");
  const std::vector<float> x = random_rows(8 * Mamba::kHidden);
  const std::vector<float> expected = mamba.expected(x);
  CHECK(largest_difference(run_mixer(*mixer, x, Mamba::kHidden, {8}), expected) < 1e-5);
  CHECK(largest_difference(run_mixer(*mixer, x, Mamba::kHidden, {3, 1, 4}), expected) < 1e-5);
}

TEST_CASE("requests that share a step leave each other's memory alone") {
  const std::vector<std::int32_t> one{5, 61, 0, 17, 33}, two{2, 48, 9};
  for (const char* golden : {"qwen3_next", "nemotron_h"}) {
    const ForwardModel model(golden_folder(golden));
    const auto first = model.new_cache(), second = model.new_cache();
    const std::vector<ForwardModel::Request> requests{{one, first.get()}, {two, second.get()}};
    const ForwardOptions options{.threads = 2, .logits = KeepLogits::all};
    std::vector<float> apart = run_tokens(model, one).logits;
    for (const float logit : run_tokens(model, two).logits) apart.push_back(logit);
    CHECK(largest_difference(model.run(requests, options).logits, apart) < 1e-5);
  }
}

}  // namespace
}  // namespace moesim
