// Reading a router case: weights, parameters, logits.
#include "workloads/forward/check/router_case.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace moesim {
namespace {

void read_into(const JsonNode& node,
               const nlohmann::json& value,
               std::size_t depth,
               CaseArray& into) {
  if (!value.is_array()) {
    if (!value.is_number()) node.fail("holds something that is no number: " + value.dump());
    if (depth != into.shape.size()) node.fail("is ragged");
    into.values.push_back(value.get<double>());
    return;
  }
  const auto size = static_cast<std::int64_t>(value.size());
  if (into.values.empty() && depth == into.shape.size()) into.shape.push_back(size);
  if (depth >= into.shape.size() || into.shape[depth] != size) node.fail("is ragged");
  for (const nlohmann::json& item : value) read_into(node, item, depth + 1, into);
}

double number_or(const JsonNode& config, const char* key, double absent) {
  const auto value = config.find(key);
  return value ? value->as_number() : absent;
}

// The gate's matrix [columns][hidden] (soft_moe: phi [hidden][slots]) under the names in use.
const CaseArray& gate_of(const RouterCase& of) {
  for (const char* name : {"gate.weight", "router.weight", "router.layer.weight",
                           "router.classifier.weight", "layer.weight", "weight", "phi"})
    if (const CaseArray* gate = of.param(name)) {
      if (gate->shape.size() != 2) of.node.at("params").at(name).fail("must be a matrix");
      return *gate;
    }
  of.node.at("params").fail(
      "has no router weight (gate.weight, router.weight, router.layer.weight, "
      "router.classifier.weight, layer.weight, weight or phi)");
}

}  // namespace

CaseArray read_array(const JsonNode& node) {
  CaseArray array;
  read_into(node, node.json(), 0, array);
  return array;
}

RouterCase::RouterCase(const JsonNode& from) : node(from) {
  name = node.at("name").as_string();
  router_name = node.at("router").as_string();
  const Router* found = Catalog<Router>::instance().find(router_name);
  if (found == nullptr)
    node.at("router").fail("unknown router \"" + router_name + "\"" +
                           name_help(router_name, Catalog<Router>::instance().names()));
  router = *found;
  const JsonNode given = node.at("params");
  for (const std::string& key : given.keys()) params[key] = read_array(given.at(key));
  x = read_array(node.at("x"));
  if (x.shape.size() != 2 || x.values.empty()) node.at("x").fail("must be [tokens][hidden]");
  tokens = x.shape[0];
  hidden = x.shape[1];
  const CaseArray& gate = gate_of(*this);
  const bool by_columns = param("phi") == &gate;  // [hidden][slots]
  columns = gate.shape[by_columns ? 1 : 0];
  if (gate.shape[by_columns ? 0 : 1] != hidden)
    given.fail(fmt::format("the router's weight does not fit the {} columns of x", hidden));
  for (std::int64_t token = 0; token < tokens; ++token)
    for (std::int64_t column = 0; column < columns; ++column) {
      double sum = 0;
      for (std::int64_t h = 0; h < hidden; ++h)
        sum += x.values[static_cast<std::size_t>(token * hidden + h)] *
               gate.values[static_cast<std::size_t>(by_columns ? h * columns + column
                                                               : column * hidden + h)];
      logits.push_back(static_cast<float>(sum));
    }
  read_parameters();
}

const CaseArray* RouterCase::param(const std::string& key) const {
  const auto found = params.find(key);
  return found == params.end() ? nullptr : &found->second;
}

void RouterCase::read_parameters() {
  const JsonNode config = node.at("config");
  parameters.scale = number_or(config, "routed_scaling_factor", 1);
  parameters.groups = static_cast<std::int64_t>(number_or(config, "n_group", 1));
  parameters.kept_groups = static_cast<std::int64_t>(number_or(config, "topk_group", 1));
  if (parameters.groups < 1 || columns % parameters.groups != 0)
    config.fail(fmt::format("n_group must divide the {} experts", columns));
  parameters.jitter = number_or(config, "router_jitter_noise", 0);
  parameters.capacity =
      static_cast<std::int64_t>(number_or(config, "k", number_or(config, "expert_capacity", 0)));
  if (const auto flag = config.find("norm_topk_prob")) parameters.renormalise = flag->as_bool();
  if (config.has("moe_normalize_expert_weights")) {
    const auto order = config.find("moe_normalize_expert_weights");  // null: not normalised
    parameters.renormalise = order.has_value();
    if (order) parameters.norm_order = order->as_number();
  }
  if (const auto fill = node.find("masked_group_fill"))
    if (fill->as_choice({"-inf", "0.0"}, "masked_group_fill") == "0.0") parameters.masked_fill = 0;
  for (const char* key : {"e_score_correction_bias", "gate.e_score_correction_bias",
                          "router.e_score_correction_bias"})
    if (const CaseArray* bias = param(key)) bias_.assign(bias->values.begin(), bias->values.end());
  if (!bias_.empty() && bias_.size() != static_cast<std::size_t>(columns))
    node.at("params").fail(
        fmt::format("the correction bias has {} values for {} experts", bias_.size(), columns));
  parameters.correction_bias = bias_;
  if (const CaseArray* table = param("tid2eid")) {
    for (const double id : table->values) table_.push_back(static_cast<std::uint16_t>(id));
    parameters.token_experts = table_;
  }
  if (const auto ids = node.find("input_ids"))
    for (const double id : read_array(*ids).values)
      token_ids.push_back(static_cast<std::int32_t>(id));
}

}  // namespace moesim
