// The keys of mixtures that several architectures share.
#include "workloads/forward/moe_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace moesim {

namespace {

// Null is not absence: it means `of_null`.
std::int64_t count_or(ConfigReader& config,
                      const std::string& key,
                      std::int64_t absent,
                      std::int64_t of_null) {
  return config.size_or(key, config.is_null(key) ? of_null : absent,
                        std::min<std::int64_t>(of_null, 1));
}

}  // namespace

std::vector<bool> read_sparse_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t sparse_step = config.size_or("decoder_sparse_step", 1);
  std::vector<bool> is_moe;
  for (std::int64_t layer = 0; layer < layers; ++layer)
    is_moe.push_back((layer + 1) % sparse_step == 0);
  if (const auto dense = config.find("mlp_only_layers"))
    for (const JsonNode& layer : dense->items())
      is_moe[static_cast<std::size_t>(layer.as_int(0, layers - 1))] = false;
  if (std::find(is_moe.begin(), is_moe.end(), true) == is_moe.end())
    config.fail(config.find("mlp_only_layers") ? "mlp_only_layers" : "decoder_sparse_step",
                "no layer is left with a mixture of experts");
  return is_moe;
}

std::string experts_key(ConfigReader& config) {
  return config.find("num_local_experts") ? "num_local_experts" : "num_experts";
}

void read_groups(ConfigReader& config,
                 std::int64_t scored,
                 MoeParameters& moe,
                 const DeepseekDefaults& absent) {
  RouterParameters& routing = moe.routing;
  routing.groups = count_or(config, "n_group", absent.groups, 1);
  routing.kept_groups = count_or(config, "topk_group", absent.kept_groups, 1);
  if (moe.experts % routing.groups != 0)
    config.fail("n_group",
                fmt::format("{} does not divide the {} experts", routing.groups, moe.experts));
  const std::int64_t group_size = moe.experts / routing.groups;
  if (routing.groups > 1 && group_size < scored)
    config.fail("n_group",
                fmt::format("{} groups of {} leave one expert a group; a group is scored by two",
                            routing.groups, moe.experts));
  if (routing.kept_groups > routing.groups)
    config.fail("topk_group",
                fmt::format("{} exceeds the {} groups", routing.kept_groups, routing.groups));
  if (moe.top_k > group_size * routing.kept_groups)
    config.fail("num_experts_per_tok",
                fmt::format("{} exceeds the {} experts of {} groups", moe.top_k,
                            group_size * routing.kept_groups, routing.kept_groups));
}

MoeParameters read_deepseek_moe(ConfigReader& config,
                                std::int64_t hidden,
                                const DeepseekDefaults& absent) {
  MoeParameters moe;
  moe.hidden = hidden;
  moe.experts = config.size("n_routed_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = moe.width * count_or(config, "n_shared_experts", absent.shared, 0);
  moe.routing.renormalise = config.flag_or("norm_topk_prob", absent.renormalise);
  moe.routing.scale = config.number_or("routed_scaling_factor", absent.scale);
  check_experts(config, "n_routed_experts", moe);
  return moe;
}

std::int64_t read_leading_dense(ConfigReader& config,
                                std::int64_t layers,
                                const DeepseekDefaults& absent) {
  const std::int64_t dense = count_or(config, "first_k_dense_replace", absent.dense, 0);
  if (dense >= layers)
    config.fail("first_k_dense_replace", "no layer is left with a mixture of experts");
  return dense;
}

Router read_softmax_router(ConfigReader& config, bool renormalised_if_absent) {
  const bool renormalised = config.flag_or("norm_topk_prob", renormalised_if_absent);
  return Catalog<Router>::instance().at(renormalised ? "softmax_topk_renormalised" : "softmax_topk",
                                        "router");
}

}  // namespace moesim
