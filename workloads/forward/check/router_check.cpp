// Runs each case's router and compares with what was recorded.
#include "workloads/forward/check/router_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/trace/routing_trace.h"
#include "workloads/forward/check/router_case.h"

namespace moesim {
namespace {

constexpr double kWeights = 1e-5, kOutputs = 5e-5;

template <class Ours, class Theirs>
void compare(const Ours& ours, const Theirs& theirs, std::optional<double>& largest) {
  double difference = largest.value_or(0);
  if (ours.size() != theirs.size()) difference = INFINITY;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    const double here = std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i]));
    difference = std::isnan(here) ? INFINITY : std::max(difference, here);
  }
  largest = difference;
}

// One token's choice, by rising expert: records list it in their own order.
std::vector<std::pair<std::uint16_t, double>> sorted_choice(const double* experts,
                                                            const double* weights,
                                                            std::int64_t top_k) {
  std::vector<std::pair<std::uint16_t, double>> choice;
  for (std::int64_t i = 0; i < top_k; ++i)
    choice.emplace_back(static_cast<std::uint16_t>(experts[i]), weights[i]);
  std::sort(choice.begin(), choice.end());
  return choice;
}

struct Choices {
  std::vector<std::uint16_t> experts;
  std::vector<float> weights;
};

Choices route(const RouterCase& of) {
  const auto copies = static_cast<std::size_t>(of.tokens * of.top_k);
  Choices choices{std::vector<std::uint16_t>(copies), std::vector<float>(copies)};
  if (of.router.route_sequence != nullptr) {
    of.router.route_sequence({of.logits, of.tokens, of.token_ids}, of.parameters, choices.experts,
                             choices.weights);
    return choices;
  }
  const auto k = static_cast<std::size_t>(of.top_k), columns = static_cast<std::size_t>(of.columns);
  for (std::size_t token = 0; token < static_cast<std::size_t>(of.tokens); ++token)
    of.router.route(std::span(of.logits).subspan(token * columns, columns), of.parameters,
                    std::span(choices.experts).subspan(token * k, k),
                    std::span(choices.weights).subspan(token * k, k));
  return choices;
}

// Where all groups kept score below the fill, the record's choice among the masked experts is
// arbitrary: equal scores. True when one of the recorded choices lies outside its kept groups.
bool chose_masked(const RouterCase& of, std::int64_t token, const double* experts) {
  const auto groups = of.node.find("selected_groups");
  if (!groups) return false;
  const CaseArray kept = read_array(*groups);
  const std::int64_t size = of.columns / of.parameters.groups;
  const auto begin = kept.values.begin() + token * kept.size(1);
  return !std::all_of(experts, experts + of.top_k, [&](double expert) {
    const std::int64_t group = static_cast<std::int64_t>(expert) / size;
    return std::find(begin, begin + kept.size(1), group) != begin + kept.size(1);
  });
}

void check_choices(RouterCase& of, RouterCheck& check) {
  const CaseArray experts = read_array(of.node.at("topk_idx"));
  const CaseArray weights = read_array(of.node.at("topk_weights"));
  if (experts.size(0) != of.tokens || experts.shape.size() != 2 || weights.shape != experts.shape)
    of.node.at("topk_idx").fail("topk_idx and topk_weights must be [tokens][top_k]");
  of.top_k = experts.size(1);
  if (of.top_k < 1 || of.top_k > of.columns)
    of.node.at("topk_idx").fail(fmt::format("top_k must be 1 to {}", of.columns));
  const Choices ours = route(of);
  const std::vector<double> our_experts(ours.experts.begin(), ours.experts.end());
  const std::vector<double> our_weights(ours.weights.begin(), ours.weights.end());
  std::optional<double> difference;
  for (std::int64_t token = 0; token < of.tokens; ++token) {
    const std::int64_t at = token * of.top_k;
    if (chose_masked(of, token, experts.values.data() + at)) {
      ++check.skipped;
      continue;
    }
    const auto mine = sorted_choice(our_experts.data() + at, our_weights.data() + at, of.top_k);
    const auto theirs =
        sorted_choice(experts.values.data() + at, weights.values.data() + at, of.top_k);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      check.wrong_indices += mine[i].first != theirs[i].first ? 1 : 0;
      difference = std::max(difference.value_or(0), std::abs(mine[i].second - theirs[i].second));
    }
  }
  check.weights = difference;
  if (const auto y = of.node.find("y")) {
    const std::vector<double> output = block_output(of, ours.experts, ours.weights);
    if (!output.empty()) compare(output, read_array(*y).values, check.block_output);
  }
}

// Records list, for each expert, the tokens it took.
void check_expert_choice(RouterCase& of, RouterCheck& check) {
  const CaseArray tokens = read_array(of.node.at("expert_tokens"));
  const CaseArray gates = read_array(of.node.at("expert_gates"));
  if (tokens.shape.size() != 2 || tokens.shape != gates.shape || tokens.size(0) != of.columns)
    of.node.at("expert_tokens").fail("expert_tokens and expert_gates must be [experts][capacity]");
  of.top_k = of.columns;
  of.parameters.capacity = tokens.size(1);
  const Choices ours = route(of);
  std::optional<double> difference;
  for (std::int64_t expert = 0; expert < of.columns; ++expert)
    for (std::int64_t i = 0; i < tokens.size(1); ++i) {
      const auto at = static_cast<std::size_t>(expert * tokens.size(1) + i);
      const auto row = static_cast<std::int64_t>(tokens.values[at]) * of.top_k;
      const auto begin = ours.experts.begin() + row;
      const auto found = std::find(begin, begin + of.top_k, expert);
      if (found == begin + of.top_k) {
        ++check.wrong_indices;
        continue;
      }
      const float weight = ours.weights[static_cast<std::size_t>(found - ours.experts.begin())];
      difference = std::max(difference.value_or(0), std::abs(weight - gates.values[at]));
    }
  check.weights = difference;
}

void check_mix(const RouterCase& of, RouterCheck& check) {
  std::vector<float> dispatch(of.logits.size()), combine(of.logits.size());
  of.router.mix({of.logits, of.tokens, {}}, dispatch, combine);
  compare(dispatch, read_array(of.node.at("dispatch")).values, check.weights);
  compare(combine, read_array(of.node.at("combine")).values, check.weights);
  if (!of.node.find("slots")) return;
  std::vector<double> slots;  // [slots][hidden] = dispatch transposed times x
  for (std::int64_t slot = 0; slot < of.columns; ++slot)
    for (std::int64_t h = 0; h < of.hidden; ++h) {
      double sum = 0;
      for (std::int64_t token = 0; token < of.tokens; ++token)
        sum += dispatch[static_cast<std::size_t>(token * of.columns + slot)] *
               of.x.values[static_cast<std::size_t>(token * of.hidden + h)];
      slots.push_back(sum);
    }
  compare(slots, read_array(of.node.at("slots")).values, check.block_output);
}

RouterCheck check_case(const JsonNode& node) {
  RouterCase of(node);
  RouterCheck check{of.name, of.router_name, static_cast<std::size_t>(of.tokens), 0, 0, {}, {},
                    {},      false};
  if (const auto logits = node.find("router_logits"))
    compare(of.logits, read_array(*logits).values, check.router_logits);
  if (of.router.mix != nullptr)
    check_mix(of, check);
  else if (node.find("expert_tokens"))
    check_expert_choice(of, check);
  else
    check_choices(of, check);
  check.passed = check.wrong_indices == 0 && check.weights.value_or(0) <= kWeights &&
                 check.router_logits.value_or(0) <= kOutputs &&
                 check.block_output.value_or(0) <= kOutputs;
  return check;
}

std::string shown(const std::optional<double>& difference) {
  return difference ? fmt::format("{:.1e}", *difference) : "-";
}

}  // namespace

std::vector<RouterCheck> check_router_cases(const std::string& file) {
  const JsonNode root = read_json_file(file);
  if (!root.is_array()) root.fail("must be an array of router cases");
  std::vector<RouterCheck> checks;
  for (const JsonNode& node : root.items()) checks.push_back(check_case(node));
  if (checks.empty()) root.fail("holds no case");
  return checks;
}

std::string router_check_text(const std::vector<RouterCheck>& checks) {
  std::string text =
      fmt::format("{:<30} {:<26} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9}\n", "case", "router", "tokens",
                  "skipped", "logits", "weights", "output", "wrong ids");
  std::size_t passed = 0;
  for (const RouterCheck& check : checks) {
    passed += check.passed ? 1 : 0;
    text += fmt::format("{:<30} {:<26} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9}  {}\n", check.name,
                        check.router, check.tokens, check.skipped, shown(check.router_logits),
                        shown(check.weights), shown(check.block_output), check.wrong_indices,
                        check.passed ? "pass" : "FAIL");
  }
  text += fmt::format(
      "{} of {} cases passed: no wrong index, weights within {:.0e}, logits and outputs within "
      "{:.0e}. Skipped tokens were recorded with a choice among equal scores.\n",
      passed, checks.size(), kWeights, kOutputs);
  return text;
}

}  // namespace moesim
