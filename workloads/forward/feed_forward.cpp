// The gated network, and loading of both kinds of feed-forward part.
#include "workloads/forward/feed_forward.h"

#include <fmt/format.h>

#include "workloads/forward/gated.h"

namespace moesim {
namespace {

class DenseFeedForward : public FeedForward {
 public:
  explicit DenseFeedForward(GatedWeights weights) : weights_(std::move(weights)) {}
  bool routed() const override { return false; }
  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           LayerRouting&) const override {
    run_gated(step, weights_, x, out);
  }

 private:
  GatedWeights weights_;
};

}  // namespace

GatedWeights load_gated(const Checkpoint& weights,
                        const std::string& prefix,
                        const GatedNames& names,
                        std::int64_t hidden,
                        std::int64_t width) {
  return {weights.stacked(
              {{prefix + names.gate + ".weight", width}, {prefix + names.up + ".weight", width}},
              hidden),
          weights.matrix(prefix + names.down + ".weight", hidden, width)};
}

std::unique_ptr<FeedForward> make_dense(GatedWeights weights) {
  return std::make_unique<DenseFeedForward>(std::move(weights));
}

void check_experts(const ConfigReader& config,
                   const std::string& experts_key,
                   const MoeParameters& parameters) {
  constexpr std::int64_t kMostExperts = kNotRouted;  // ids below it fit the trace's u16
  if (parameters.experts > kMostExperts)
    config.fail(experts_key, fmt::format("at most {} experts are implemented", kMostExperts));
  if (parameters.top_k > parameters.experts)
    config.fail("num_experts_per_tok",
                fmt::format("{} exceeds the {} experts", parameters.top_k, parameters.experts));
}

MoeWeights load_moe(const Checkpoint& weights,
                    const std::string& prefix,
                    const GatedNames& names,
                    const MoeParameters& parameters) {
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "gate.weight", parameters.experts, parameters.hidden);
  for (std::int64_t expert = 0; expert < parameters.experts; ++expert)
    loaded.experts.push_back(load_gated(weights, fmt::format("{}experts.{}.", prefix, expert),
                                        names, parameters.hidden, parameters.width));
  return loaded;
}

}  // namespace moesim
