// Loading a mixture's weights: an expert a set of tensors, or all experts fused in two.
#include <fmt/format.h>

#include "workloads/forward/moe.h"

namespace moesim {

void check_experts(const ConfigReader& config,
                   const std::string& experts_key,
                   const MoeParameters& parameters) {
  constexpr std::int64_t kMostExperts = kNotRouted;  // ids below it fit the trace's u16
  if (parameters.experts + parameters.zero_experts > kMostExperts)
    config.fail(experts_key, fmt::format("at most {} experts are implemented", kMostExperts));
  if (parameters.top_k > parameters.experts + parameters.zero_experts)
    config.fail("num_experts_per_tok",
                fmt::format("{} exceeds the {} experts", parameters.top_k, parameters.experts));
}

MoeWeights load_moe(const Checkpoint& weights,
                    const std::string& prefix,
                    const NetworkNames& names,
                    const MoeParameters& parameters) {
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "gate.weight",
                                 parameters.experts + parameters.zero_experts, parameters.hidden);
  for (std::int64_t expert = 0; expert < parameters.experts; ++expert)
    loaded.experts.push_back(
        load_network(weights, fmt::format("{}experts.{}.", prefix, expert), names,
                     {parameters.hidden, parameters.width, parameters.activation, false}));
  return loaded;
}

std::vector<Network> load_fused_experts(const Checkpoint& weights,
                                        const std::string& prefix,
                                        const FusedExperts& fused,
                                        const MoeParameters& parameters) {
  const std::int64_t experts = parameters.experts, hidden = parameters.hidden;
  const std::int64_t up_rows = (parameters.activation.gated() ? 2 : 1) * parameters.width;
  const auto matrix = [&](const std::string& name, std::int64_t expert, std::int64_t rows,
                          std::int64_t columns) {
    return weights.stacked({{.name = prefix + name,
                             .rows = rows,
                             .slice = expert,
                             .slices = experts,
                             .transposed = fused.transposed}},
                           columns);
  };
  const auto row_of = [](const Floats& rows, std::int64_t row, std::int64_t size) {
    return Floats(rows.begin() + row * size, rows.begin() + (row + 1) * size);
  };
  Floats up_bias, down_bias;
  if (fused.bias) {
    up_bias = weights.tensor(prefix + fused.up + "_bias", {experts, up_rows});
    down_bias = weights.tensor(prefix + fused.down + "_bias", {experts, hidden});
  }
  std::vector<Network> networks(static_cast<std::size_t>(experts));
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    Network& network = networks[static_cast<std::size_t>(expert)];
    network.activation = parameters.activation;
    network.up = matrix(fused.up, expert, up_rows, hidden);
    network.down = matrix(fused.down, expert, hidden, parameters.width);
    if (!fused.bias) continue;
    network.up_bias = row_of(up_bias, expert, up_rows);
    network.down_bias = row_of(down_bias, expert, hidden);
  }
  return networks;
}

}  // namespace moesim
