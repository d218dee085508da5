// Memory of a pipeline: the cache of all micro-batches, the activations of one.
#include <doctest/doctest.h>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

using doctest::Approx;

// The last stage by itself: a model of its layers without a pipeline, which has the head too.
MoeModel last_half(MoeModel model) {
  const auto middle = static_cast<std::ptrdiff_t>(model.layers.size() / 2);
  model.layers.erase(model.layers.begin(), model.layers.begin() + middle);
  return model;
}

TEST_CASE("a stage keeps the cache of all requests and activations of the largest micro-batch") {
  MoeModel model = load_model("deepseek-v3");
  model.layers.resize(60);
  const MoeModel half = last_half(model);
  ShardingPlan piped, alone;
  piped.parallelism = {2, 1, 1, 2};
  for (const int requests : {8, 9}) {
    const std::vector<BatchEntry> all(static_cast<std::size_t>(requests),
                                      {0, Phase::decode, 1, 999});
    const std::vector<BatchEntry> part(all.begin(), all.begin() + (requests + 1) / 2);
    const WorkingSet set = working_set(model, piped, all, 1);
    CHECK(set.kv_cache.value == Approx(working_set(half, alone, all).kv_cache.value));
    CHECK(set.activations.value == Approx(working_set(half, alone, part).activations.value));
  }
  // A prompt is cut where it has to be; drafts of a request are not.
  const std::vector<BatchEntry> prompt{{0, Phase::prefill, 1000, 0}};
  const std::vector<BatchEntry> cut{{0, Phase::prefill, 500, 0}};
  CHECK(working_set(model, piped, prompt, 1).activations.value ==
        Approx(working_set(half, alone, cut).activations.value));
  const std::vector<BatchEntry> drafted(3, {0, Phase::decode, 3, 999});
  const std::vector<BatchEntry> two(2, {0, Phase::decode, 3, 999});
  CHECK(working_set(model, piped, drafted, 1).activations.value ==
        Approx(working_set(half, alone, two).activations.value));
}

}  // namespace
}  // namespace moesim
