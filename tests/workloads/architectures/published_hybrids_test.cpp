// The published configurations of gpt-oss, Qwen3-Next, Qwen3.5, Nemotron-3, Llama 4 and
// MiMo-V2-Flash at their full layer shapes: layers of every kind with random weights.
#include <doctest/doctest.h>

#include "tests/source_dir.h"
#include "tests/workloads/golden.h"

namespace moesim {
namespace {

struct PublishedHybrid {
  const char* model;
  int first, end;  // layers: together one of each kind
  int moe_layers;  // of the whole model, from its configuration's own lists
};

const PublishedHybrid kPublished[] = {{"gpt-oss-20b", 0, 2, 24},
                                      {"gpt-oss-120b", 0, 2, 36},
                                      {"qwen3-next-80b-a3b", 2, 4, 48},
                                      {"qwen3.5-35b-a3b", 2, 4, 40},
                                      {"qwen3.5-122b-a10b", 2, 4, 48},
                                      {"qwen3.5-397b-a17b", 2, 4, 60},
                                      {"qwen3.6-35b-a3b", 2, 4, 40},
                                      {"nemotron-3-nano-30b-a3b", 4, 7, 23},
                                      {"nemotron-3-super-120b-a12b", 6, 9, 40},
                                      {"nemotron-3-ultra-550b-a55b", 6, 9, 48},
                                      {"llama-4-scout", 2, 4, 48},
                                      {"llama-4-maverick", 2, 4, 24},
                                      {"mimo-v2-flash", 0, 2, 47}};

TEST_CASE("published hybrids are read whole and run by layers, at once and token by token") {
  const std::vector<std::int32_t> tokens{5, 17, 900, 3, 3, 41};
  for (const PublishedHybrid& published : kPublished) {
    CAPTURE(published.model);
    const std::string path = test::source_dir() + "/workloads/models/" + published.model + ".json";
    const ForwardModel whole(path, {.random_seed = 1});
    CHECK(static_cast<int>(whole.moe_layer_ids().size()) == published.moe_layers);
    const ForwardModel part(
        path, {.first_layer = published.first, .end_layer = published.end, .random_seed = 1});
    const auto cache = part.new_cache(), stepped = part.new_cache();
    const ForwardOutput output =
        part.run(tokens, *cache, {.threads = 2, .logits = KeepLogits::last});
    ForwardOutput last;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      last = part.run(std::span(tokens).subspan(i, 1), *stepped,
                      {.threads = 2, .logits = KeepLogits::last});
    CHECK(static_cast<int>(output.logits.size()) == part.vocabulary());
    CHECK(largest_difference(output.logits, last.logits) < 1e-3);  // logits of about 1
  }
}

}  // namespace
}  // namespace moesim
