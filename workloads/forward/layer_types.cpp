// Checked lists with one entry a layer.
#include "workloads/forward/layer_types.h"

#include <fmt/format.h>

namespace moesim {
namespace {

std::vector<JsonNode> items_of(const JsonNode& list, std::int64_t layers) {
  std::vector<JsonNode> items = list.items();
  if (static_cast<std::int64_t>(items.size()) != layers)
    list.fail(fmt::format("has {} entries; the model has {} layers", items.size(), layers));
  return items;
}

}  // namespace

std::vector<bool> read_layer_types(ConfigReader& config,
                                   std::int64_t layers,
                                   const std::string& marked,
                                   const std::string& other) {
  const auto list = config.find("layer_types");
  if (!list) return {};
  std::vector<bool> is_marked;
  is_marked.reserve(static_cast<std::size_t>(layers));
  for (const JsonNode& item : items_of(*list, layers))
    is_marked.push_back(item.as_choice({marked, other}, "kind of layer") == marked);
  return is_marked;
}

std::vector<bool> read_layer_flags(ConfigReader& config,
                                   const std::string& key,
                                   std::int64_t layers) {
  const auto list = config.find(key);
  if (!list)
    throw InputError(fmt::format(
        "config.json: {} is missing; it lists 0 or 1 for each of the {} layers", key, layers));
  std::vector<bool> flags;
  flags.reserve(static_cast<std::size_t>(layers));
  for (const JsonNode& item : items_of(*list, layers)) flags.push_back(item.as_int(0, 1) == 1);
  return flags;
}

}  // namespace moesim
