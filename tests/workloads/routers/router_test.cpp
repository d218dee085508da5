// Routers against the public implementations (tests/data/router_cases/README.md), and the law every
// router obeys.
#include "workloads/routers/router.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "sim/core/random.h"
#include "tests/source_dir.h"
#include "tests/workloads/golden.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

struct Choice {
  std::vector<std::uint16_t> experts;
  std::vector<float> weights;
};

Choice route(const std::string& router,
             const std::vector<float>& logits,
             const RouterParameters& parameters,
             std::size_t top_k) {
  Choice choice{std::vector<std::uint16_t>(top_k), std::vector<float>(top_k)};
  Catalog<Router>::instance()
      .at(router, "router")
      .route(logits, parameters, choice.experts, choice.weights);
  return choice;
}

nlohmann::json case_named(const std::string& name) {
  const auto cases = nlohmann::json::parse(
      read_text_file(test::source_dir() + "/tests/data/router_cases/router_cases.json"));
  for (const auto& entry : cases)
    if (entry["name"] == name) return entry;
  throw std::runtime_error("no router case " + name);
}

struct CaseSetup {
  RouterParameters parameters;
  std::vector<float> bias;
};

CaseSetup setup_of(const nlohmann::json& entry) {
  CaseSetup setup;
  const auto& config = entry["config"];
  setup.parameters.groups = config.value("n_group", 1);
  setup.parameters.kept_groups = config.value("topk_group", 1);
  setup.parameters.scale = config.value("routed_scaling_factor", 1.0);
  for (const char* key : {"e_score_correction_bias", "gate.e_score_correction_bias",
                          "router.e_score_correction_bias"})
    if (entry["params"].contains(key)) setup.bias = entry["params"][key].get<std::vector<float>>();
  return setup;
}

// Rows whose router case says otherwise than masking with -inf does: a chosen expert outside the
// kept groups. They are returned, not compared.
std::size_t check_case(const std::string& name, const std::string& router) {
  const auto entry = case_named(name);
  CaseSetup setup = setup_of(entry);
  setup.parameters.correction_bias = setup.bias;
  std::size_t skipped = 0;
  for (std::size_t token = 0; token < entry["router_logits"].size(); ++token) {
    CAPTURE(name);
    CAPTURE(token);
    const auto expected = entry["topk_idx"][token].get<std::vector<std::uint16_t>>();
    const auto logits = entry["router_logits"][token].get<std::vector<float>>();
    if (entry.contains("selected_groups")) {
      const auto groups = entry["selected_groups"][token].get<std::vector<std::size_t>>();
      const std::size_t size = logits.size() / static_cast<std::size_t>(setup.parameters.groups);
      if (!std::all_of(expected.begin(), expected.end(), [&](std::uint16_t expert) {
            return std::find(groups.begin(), groups.end(), expert / size) != groups.end();
          })) {
        ++skipped;
        continue;
      }
    }
    const Choice choice = route(router, logits, setup.parameters, expected.size());
    CHECK(choice.experts == expected);
    CHECK(largest_difference(choice.weights,
                             entry["topk_weights"][token].get<std::vector<float>>()) <= 1e-5);
  }
  return skipped;
}

TEST_CASE("routers agree with the public implementations") {
  CHECK(check_case("qwen3_next", "softmax_topk_renormalised") == 0);
  CHECK(check_case("dbrx_p1", "softmax_topk_renormalised") == 0);  // p = 1: divided by the sum
  CHECK(check_case("dbrx_pNone", "softmax_topk") == 0);            // not normalised
  CHECK(check_case("dbrx_p1", "dbrx") == 0);
  CHECK(check_case("granitemoe", "topk_softmax") == 0);
  CHECK(check_case("llama4", "llama4_sigmoid_input") == 0);
  CHECK(check_case("minimax_m2", "sigmoid") == 0);
  CHECK(check_case("deepseek_v4_topk", "sqrt_softplus") == 0);
  CHECK(check_case("longcat_flash_zero_experts", "zero_experts") == 0);
  CHECK(check_case("deepseek_v3_groups", "sigmoid_grouped") == 0);
  CHECK(check_case("deepseek_v3_1group", "sigmoid_grouped") == 0);
  CHECK(check_case("nemotron_h", "sigmoid_grouped") == 0);
}

TEST_CASE("a masked group is never chosen, even where all scores left are negative") {
  // The case's implementation put 0.0 in masked groups and so chose from them in some rows; the
  // others must agree, and the router's own choices stay within two groups in all of them.
  const auto entry = case_named("deepseek_v3_negative_bias");
  const std::size_t skipped = check_case("deepseek_v3_negative_bias", "sigmoid_grouped");
  CHECK(skipped > 0);
  CHECK(skipped <= entry["picks_outside_selected_groups"].get<std::size_t>());
  CaseSetup setup = setup_of(entry);
  setup.parameters.correction_bias = setup.bias;
  for (const auto& row : entry["router_logits"]) {
    const Choice choice =
        route("sigmoid_grouped", row.get<std::vector<float>>(), setup.parameters, 4);
    std::set<int> groups;
    for (const std::uint16_t expert : choice.experts) groups.insert(expert / 4);
    CHECK(groups.size() <= 2);
  }
}

TEST_CASE("every router picks distinct experts by falling weight") {
  Random random(7);
  for (const std::string& name : Catalog<Router>::instance().names()) {
    // relu's experts per token vary; the others judge a whole sequence
    if (name == "relu" || Catalog<Router>::instance().find(name)->route == nullptr) continue;
    for (int repeat = 0; repeat < 200; ++repeat) {
      CAPTURE(name);
      std::vector<float> logits;
      for (int i = 0; i < 24; ++i)
        logits.push_back(
            static_cast<float>(std::floor(20 * random.uniform()) / 4 - 2));  // with ties
      const Choice choice = route(name, logits, {}, 6);
      CHECK(std::set<int>(choice.experts.begin(), choice.experts.end()).size() == 6);
      CHECK(*std::max_element(choice.experts.begin(), choice.experts.end()) < 24);
      for (std::size_t i = 1; i < 6; ++i) {
        CHECK(choice.weights[i - 1] >= choice.weights[i]);
        if (choice.weights[i - 1] == choice.weights[i])
          CHECK(choice.experts[i - 1] < choice.experts[i]);
      }
    }
  }
}

TEST_CASE("choose_largest takes the largest, equal ones by rising id") {
  std::vector<std::uint16_t> chosen(3);
  choose_largest(std::vector<float>{1, 5, 5, 2, 5}, chosen);
  CHECK(chosen == std::vector<std::uint16_t>{1, 2, 4});
  choose_largest(std::vector<float>{-1, -INFINITY, -3}, chosen);
  CHECK(chosen == std::vector<std::uint16_t>{0, 2, 1});
}

}  // namespace
}  // namespace moesim
