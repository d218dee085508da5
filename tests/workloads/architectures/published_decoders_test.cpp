// The published configurations of the decoders that are nothing but attention and mixtures: all
// are read, and layers of each kind run at their full shapes with random weights.
#include <doctest/doctest.h>

#include "tests/source_dir.h"
#include "tests/workloads/golden.h"

namespace moesim {
namespace {

std::string model_file(const std::string& model) {
  return test::source_dir() + "/workloads/models/" + model + ".json";
}

TEST_CASE("the forward pass reads every published configuration, all layers of it") {
  std::size_t files = 0;
  const std::string folder = test::source_dir() + "/workloads/models";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    CAPTURE(entry.path().filename().string());
    const auto config = nlohmann::json::parse(read_text_file(entry.path()));
    ++files;
    CHECK_NOTHROW({
      const ForwardModel model(entry.path(), {.end_layer = 1, .random_seed = 1});
      CHECK(model.vocabulary() == config.at("vocab_size").get<int>());
    });
  }
  CHECK(files > 40);
}

struct PublishedDecoder {
  const char* model;
  int first, end;  // layers: together one of each kind
};

TEST_CASE("published decoders run with random weights, at once and token by token") {
  const std::vector<std::int32_t> tokens{5, 17, 900, 3, 3, 41};
  for (const PublishedDecoder& published : {PublishedDecoder{"mixtral-8x7b", 0, 2},
                                            PublishedDecoder{"mixtral-8x22b", 0, 2},
                                            PublishedDecoder{"olmoe-1b-7b", 0, 2},
                                            PublishedDecoder{"qwen3-30b-a3b", 0, 2},
                                            PublishedDecoder{"qwen3-235b-a22b", 0, 2},
                                            PublishedDecoder{"qwen3-coder-480b-a35b", 0, 2},
                                            PublishedDecoder{"deepseek-v2-lite", 0, 2},
                                            PublishedDecoder{"deepseek-v2", 0, 2},
                                            PublishedDecoder{"deepseek-v3", 2, 4},
                                            PublishedDecoder{"deepseek-r1", 2, 4},
                                            PublishedDecoder{"kimi-k2", 0, 2},
                                            PublishedDecoder{"kimi-k2.5", 0, 2},
                                            PublishedDecoder{"glm-4.5-air", 0, 2},
                                            PublishedDecoder{"glm-4.5", 2, 4},
                                            PublishedDecoder{"granite-3.0-1b-a400m", 0, 2},
                                            PublishedDecoder{"granite-3.0-3b-a800m", 0, 2},
                                            PublishedDecoder{"minimax-m2.5", 0, 2},
                                            PublishedDecoder{"minimax-m2.7", 0, 2},
                                            PublishedDecoder{"dbrx", 0, 2},
                                            PublishedDecoder{"phi-3.5-moe", 0, 2}}) {
    CAPTURE(published.model);
    const ForwardModel model(
        model_file(published.model),
        {.first_layer = published.first, .end_layer = published.end, .random_seed = 1});
    CHECK(!model.moe_layer_ids().empty());
    const auto cache = model.new_cache(), stepped = model.new_cache();
    const ForwardOptions options{.threads = 2, .logits = KeepLogits::last};
    const ForwardOutput output = model.run(tokens, *cache, options);
    ForwardOutput last;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      last = model.run(std::span(tokens).subspan(i, 1), *stepped, options);
    CHECK(output.logits.size() == static_cast<std::size_t>(model.vocabulary()));
    CHECK(largest_difference(output.logits, last.logits) < 1e-3);  // logits of about 1
  }
}

}  // namespace
}  // namespace moesim
