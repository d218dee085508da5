// Finds the links that a name means.
#include "sim/cluster/link_health.h"

#include <set>
#include <string_view>

namespace moesim {
namespace {

// "nic 37" of "nic 37 out".
std::string_view cable_of(std::string_view link) { return link.substr(0, link.rfind(' ')); }

bool means(const std::string& name, const Link& link) {
  return name == tier_name(link.tier) || name == link.name || name == cable_of(link.name);
}

[[noreturn]] void refuse_name(const Fabric& fabric, const LinkHealth& entry) {
  std::set<std::string> tiers;
  for (const Link& link : fabric.links) tiers.insert(tier_name(link.tier));
  std::vector<std::string> names(tiers.begin(), tiers.end());
  std::string valid;
  for (const std::string& tier : names) valid += (valid.empty() ? "" : ", ") + tier;
  for (std::size_t link = 0; link < fabric.links.size(); link += 2) {
    names.emplace_back(cable_of(fabric.links[link].name));
  }
  const auto nearest = nearest_name(entry.name, names);
  throw InputError(entry.where, "this fabric has no tier and no link \"" + entry.name + "\"" +
                                    (nearest ? "; did you mean \"" + *nearest + "\"?" : ";") +
                                    " Tiers: " + valid + "; links are named as \"" +
                                    std::string(cable_of(fabric.links.front().name)) + "\"");
}

}  // namespace

void apply_link_health(Fabric& fabric, const std::vector<LinkHealth>& health) {
  for (const LinkHealth& entry : health) {
    bool found = false;
    for (Link& link : fabric.links) {
      if (!means(entry.name, link)) continue;
      link.bandwidth = link.bandwidth * entry.ratio;
      found = true;
    }
    if (!found && fabric.links.empty()) throw InputError(entry.where, "this fabric has no links");
    if (!found) refuse_name(fabric, entry);
  }
}

}  // namespace moesim
