// Service-level objectives by the metric they bound, and prices.
#include "sim/scenario/load_objectives.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

namespace moesim {

ServiceLevel read_service_level(const JsonNode& node, Phase phase) {
  node.allow_only({"time_per_output_token", "time_to_first_token"});
  const char* wanted = phase == Phase::decode ? "time_per_output_token" : "time_to_first_token";
  for (const std::string& key : node.keys())
    if (key != wanted && !key.starts_with("_"))
      node.at(key).fail(std::string("is not of this phase; write \"") + wanted + "\"");
  ServiceLevel level;
  level.metric = wanted;
  const auto most = node.find(wanted);
  if (!most) node.fail(std::string("needs \"") + wanted + "\"");
  level.most = most->as_seconds();
  if (!(level.most.count() > 0)) most->fail("must be above 0 s");
  return level;
}

Price read_price(const JsonNode& cluster) {
  Price price;
  const auto node = cluster.find("price_per_gpu_hour");
  if (!node) return price;
  const std::string text = node->as_string();
  char* end = nullptr;
  price.gpu_hour = std::strtod(text.c_str(), &end);
  const std::string rest(end);
  const auto first = std::find_if_not(rest.begin(), rest.end(),
                                      [](unsigned char c) { return std::isspace(c) != 0; });
  price.currency.assign(first, rest.end());
  const bool word = !price.currency.empty() &&
                    std::all_of(price.currency.begin(), price.currency.end(),
                                [](unsigned char c) { return std::isalpha(c) != 0 || c >= 128; });
  if (end == text.c_str() || !std::isfinite(price.gpu_hour) || !(price.gpu_hour > 0) || !word)
    node->fail("\"" + text +
               "\" is no price; write an amount above 0 and a currency, as in "
               "\"2.50 USD\"");
  return price;
}

}  // namespace moesim
