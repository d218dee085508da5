// The published configurations of the architectures without golden vectors, and Switch's, at their
// full layer shapes: layers of every kind with random weights.
#include <doctest/doctest.h>

#include "tests/source_dir.h"
#include "tests/workloads/golden.h"

namespace moesim {
namespace {

struct PublishedShape {
  const char* model;
  int first, end;  // layers: together one of each kind
};

class PublishedRun {
 public:
  explicit PublishedRun(const PublishedShape& shape)
      : model_(test::source_dir() + "/workloads/models/" + shape.model + ".json",
               {.first_layer = shape.first, .end_layer = shape.end, .random_seed = 1}) {}

  const ForwardModel& model() const { return model_; }

  ForwardOutput run() const {
    const std::vector<std::int32_t> tokens{5, 17, 900, 3, 3, 41, 250, 77};
    const auto cache = model_.new_cache();
    const ForwardModel::Request request{tokens, cache.get()};
    if (model_.has_encoder()) model_.encode({&request, 1}, {.threads = 2});
    return model_.run(tokens, *cache, {.threads = 2, .logits = KeepLogits::last});
  }

 private:
  ForwardModel model_;
};

TEST_CASE("published shapes run with random weights, the same for the same seed") {
  for (const PublishedShape& shape :
       {PublishedShape{"switch-base-8", 11, 14}, PublishedShape{"switch-base-128", 11, 14},
        PublishedShape{"deepseek-v3.2", 2, 4}, PublishedShape{"glm-5", 2, 4},
        PublishedShape{"longcat-flash", 0, 1}, PublishedShape{"minimax-m3", 2, 4},
        PublishedShape{"deepseek-v4-flash", 1, 4}, PublishedShape{"deepseek-v4-pro", 1, 3}}) {
    CAPTURE(shape.model);
    const PublishedRun published(shape);
    const ForwardOutput output = published.run();
    REQUIRE(output.logits.size() == static_cast<std::size_t>(published.model().vocabulary()));
    CHECK(std::all_of(output.logits.begin(), output.logits.end(),
                      [](float logit) { return std::isfinite(logit); }));
    CHECK(!published.model().moe_layer_ids().empty());
    CHECK(same_bits(output, published.run()));
  }
}

}  // namespace
}  // namespace moesim
