// Finds the links that a name means.
#include "sim/cluster/link_health.h"

#include <set>
#include <string_view>

namespace moesim {
namespace {

// "nic 37" of "nic 37 out".
std::string_view cable_of(std::string_view link) { return link.substr(0, link.rfind(' ')); }

// Whether `pattern`, where * stands for any text, fits all of `text`.
bool fits(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (text.substr(0, star) != pattern.substr(0, star)) return false;
  for (std::size_t from = star; from <= text.size(); ++from)
    if (fits(pattern.substr(star + 1), text.substr(from))) return true;
  return false;
}

bool means(const std::string& name, const Link& link) {
  return name == tier_name(link.tier) || fits(name, link.name) || fits(name, cable_of(link.name));
}

[[noreturn]] void refuse_name(const Fabric& fabric,
                              const std::string& name,
                              const Location& where) {
  if (fabric.links.empty()) throw InputError(where, "this fabric has no links");
  std::set<std::string> tiers;
  for (const Link& link : fabric.links) tiers.insert(tier_name(link.tier));
  std::vector<std::string> names(tiers.begin(), tiers.end());
  std::string valid;
  for (const std::string& tier : names) valid += (valid.empty() ? "" : ", ") + tier;
  for (std::size_t link = 0; link < fabric.links.size(); link += 2) {
    names.emplace_back(cable_of(fabric.links[link].name));
  }
  const auto nearest = nearest_name(name, names);
  throw InputError(where, "this fabric has no tier and no link \"" + name + "\"" +
                              (nearest ? "; did you mean \"" + *nearest + "\"?" : ";") +
                              " Tiers: " + valid + "; links are named as \"" +
                              std::string(cable_of(fabric.links.front().name)) + "\"");
}

}  // namespace

std::vector<LinkId> links_named(const Fabric& fabric,
                                const std::string& name,
                                const Location& where) {
  std::vector<LinkId> links;
  for (std::size_t link = 0; link < fabric.links.size(); ++link)
    if (means(name, fabric.links[link])) links.push_back(id_of<LinkId>(link));
  if (links.empty()) refuse_name(fabric, name, where);
  return links;
}

void apply_link_health(Fabric& fabric, const std::vector<LinkHealth>& health) {
  for (const LinkHealth& entry : health) {
    for (const LinkId link : links_named(fabric, entry.name, entry.where))
      fabric.links[index(link)].bandwidth = fabric.links[index(link)].bandwidth * entry.ratio;
  }
}

}  // namespace moesim
