// Every shipped configuration runs at its full layer shapes with random weights.
#include "workloads/forward/random_run.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/source_dir.h"
#include "tests/workloads/golden.h"
#include "workloads/forward/model_path.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

const std::string kShippedModels = test::source_dir() + "/workloads/models";

TEST_CASE("two layers of every shipped configuration run with random weights") {
  int ran = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kShippedModels)) {
    if (entry.path().extension() != ".json") continue;
    CAPTURE(entry.path().filename().string());
    const RandomRun run = run_random(entry.path().string(), {.tokens = 4});
    CHECK(run.finite);
    CHECK(run.end_layer == run.first_layer + 2);
    REQUIRE(!run.layers.empty());
    for (const RandomLayerLoad& load : run.layers) {
      CHECK(load.layer >= run.first_layer);
      CHECK(load.layer < run.end_layer);
      CHECK(load.token_copies <= 4 * run.top_k);  // fewer where experts compute nothing or are full
      CHECK(load.token_copies >= 1);
      CHECK(load.max_over_mean >= 1);
      CHECK(load.experts_used <= load.token_copies);
    }
    ++ran;
  }
  CHECK(ran == 41);  // what README.md there lists
}

TEST_CASE("a random run takes the layers asked for and repeats itself by seed") {
  const std::string path = kShippedModels + "/granite-3.0-1b-a400m.json";
  const RandomRunRequest request{.first_layer = 3, .end_layer = 5, .tokens = 7, .seed = 4};
  const RandomRun run = run_random(path, request), again = run_random(path, request);
  REQUIRE(run.layers.size() == 2);
  CHECK(run.layers[0].layer == 3);
  CHECK(run.layers[1].layer == 4);
  CHECK(run.layers[1].token_copies == 7 * run.top_k);
  CHECK(run.layers[1].max_over_mean == again.layers[1].max_over_mean);
}

TEST_CASE("random runs that cannot be are refused, with the nearest name") {
  CHECK(input_error_of([] { model_path("deepseek-v33", true); }).find("\"deepseek-v3\"") !=
        std::string::npos);
  CHECK(input_error_of([] { model_path("deepseek-v3", false); }).find("is no folder") !=
        std::string::npos);
  const std::string path = kShippedModels + "/granite-3.0-1b-a400m.json";
  CHECK(input_error_of([&] { run_random(path, {.tokens = 0}); }).find("tokens is 0") !=
        std::string::npos);
  CHECK(input_error_of([&] {
          run_random(path, {.first_layer = 30, .end_layer = 32});
        }).find("layers 30:32") != std::string::npos);
}

TEST_CASE("a model's label is its folder's or its configuration's name") {
  CHECK(model_label("/models/olmoe/") == "olmoe");
  CHECK(model_label("/models/olmoe/model") == "olmoe");
  CHECK(model_label("/models/olmoe/config.json") == "olmoe");
  CHECK(model_label("/models/olmoe-1b-7b.json") == "olmoe-1b-7b");
}

}  // namespace
}  // namespace moesim
