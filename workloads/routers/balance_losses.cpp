// Sums by layer and by request, and the conventions made from them.
#include "workloads/routers/balance_losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

// variance / mean^2, of the population.
double squared_variation(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = sum_of(values) / count;
  if (mean == 0) return 0;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / count / (mean * mean);
}

}  // namespace

BalanceLosses::BalanceLosses(std::size_t layers, std::size_t experts, std::size_t top_k)
    : experts_(experts), top_k_(top_k), layers_(layers), scratch_(experts) {
  for (Layer& layer : layers_)
    for (auto* sums :
         {&layer.shares, &layer.first, &layer.chosen, &layer.weight, &layer.top_of_logits})
      sums->assign(experts, 0.0);
}

void BalanceLosses::add_token(Layer& layer, std::span<const float> logits) {
  const auto own = logits.first(experts_);
  const double largest = *std::max_element(own.begin(), own.end());
  double sum = 0;
  for (const float logit : own) sum += std::exp(logit - largest);
  const double log_sum = largest + std::log(sum);
  layer.z += log_sum * log_sum;
  for (std::size_t expert = 0; expert < experts_; ++expert)
    layer.shares[expert] += std::exp(own[expert] - log_sum);
  std::vector<std::uint16_t> top(std::min(top_k_, experts_));
  choose_largest(own, top);
  for (const std::uint16_t expert : top) layer.top_of_logits[expert] += 1;
  ++layer.tokens;
}

void BalanceLosses::add(std::size_t layer_index,
                        std::int64_t request,
                        std::span<const float> logits,
                        std::span<const std::uint16_t> chosen,
                        std::span<const float> weights) {
  Layer& layer = layers_[layer_index];
  const std::size_t tokens = chosen.size() / top_k_;
  if (tokens == 0) return;
  const std::size_t columns = logits.size() / tokens;
  Sequence& sequence = open_[request];
  if (sequence.shares.empty()) {
    sequence.shares.assign(layers_.size() * experts_, 0.0);
    sequence.chosen = sequence.shares;
  }
  double* shares = sequence.shares.data() + layer_index * experts_;
  double* counts = sequence.chosen.data() + layer_index * experts_;
  if (layer_index == 0) sequence.tokens += tokens;
  for (std::size_t token = 0; token < tokens; ++token) {
    const auto row = logits.subspan(token * columns, columns);
    add_token(layer, row);
    double total = 0;
    for (std::size_t e = 0; e < experts_; ++e)
      total += scratch_[e] = 1.0F / (1.0F + std::exp(-row[e]));
    for (std::size_t e = 0; e < experts_; ++e) shares[e] += scratch_[e] / total;
    for (std::size_t i = token * top_k_; i < (token + 1) * top_k_; ++i) {
      if (chosen[i] >= experts_) continue;  // dropped, or a zero-computation expert
      layer.chosen[chosen[i]] += 1;
      layer.weight[chosen[i]] += weights[i];
      counts[chosen[i]] += 1;
      if (i == token * top_k_) layer.first[chosen[i]] += 1;
    }
  }
}

void BalanceLosses::end_request(std::int64_t request) {
  const auto found = open_.find(request);
  if (found == open_.end()) return;
  const Sequence& sequence = found->second;
  const auto tokens = static_cast<double>(sequence.tokens);
  const double scale =
      static_cast<double>(experts_) / (static_cast<double>(top_k_) * tokens) / tokens;
  for (std::size_t layer = 0; layer < layers_.size() && sequence.tokens > 0; ++layer) {
    for (std::size_t e = 0; e < experts_; ++e)
      sequence_sum_ +=
          scale * sequence.chosen[layer * experts_ + e] * sequence.shares[layer * experts_ + e];
    ++sequences_;
  }
  open_.erase(found);
}

std::vector<BalanceLoss> BalanceLosses::values() const {
  const auto experts = static_cast<double>(experts_), top_k = static_cast<double>(top_k_);
  std::vector<double> all_shares(experts_), all_top(experts_);
  double tokens = 0, z = 0, first = 0, megatron = 0, importance = 0, layers = 0;
  for (const Layer& layer : layers_) {
    if (layer.tokens == 0) continue;
    const auto count = static_cast<double>(layer.tokens);
    ++layers;
    tokens += count;
    z += layer.z / count;
    first += experts * dot(layer.first, layer.shares) / (count * count);
    const double routed = sum_of(layer.chosen);
    if (routed > 0) megatron += experts * dot(layer.chosen, layer.shares) / (routed * count);
    importance += squared_variation(layer.weight);
    for (std::size_t e = 0; e < experts_; ++e) {
      all_shares[e] += layer.shares[e];
      all_top[e] += layer.top_of_logits[e];
    }
  }
  if (layers == 0) return {};
  const double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<BalanceLoss> losses{
      {"hub", experts * dot(all_top, all_shares) / (tokens * tokens), top_k},
      {"switch", first / layers, 1},
      {"megatron", megatron / layers, 1},
      {"z", z / layers, none},
      {"importance", importance / layers, 0}};
  if (sequences_ > 0)
    losses.push_back({"sequence", sequence_sum_ / static_cast<double>(sequences_), 1});
  return losses;
}

std::string balance_losses_text(const BalanceLosses& losses) {
  static const std::map<std::string, std::string> what{
      {"hub", "E sum f P over all layers, top-k of the logits (transformers)"},
      {"switch", "E sum f P of first choices, mean of layers (Switch; GShard's l_aux x E)"},
      {"megatron", "E sum f P of all choices, mean of layers (Megatron-LM)"},
      {"z", "mean of logsumexp^2 (ST-MoE)"},
      {"importance", "variance / mean^2 of the weights' sums (Shazeer et al. 2017)"},
      {"sequence", "sum f P within a request, mean of requests and layers (DeepSeek-V3)"}};
  std::string text = "Balance losses\n";
  for (const BalanceLoss& loss : losses.values())
    text +=
        fmt::format("  {:<11} {:>9.4f}  {:<16} {}\n", loss.name, loss.value,
                    std::isnan(loss.balanced) ? "" : fmt::format("(balanced {:g})", loss.balanced),
                    what.at(loss.name));
  return text;
}

}  // namespace moesim
