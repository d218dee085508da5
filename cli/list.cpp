// moesim list: every part in the catalogs and every data file the program can name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "analysis/analysis.h"
#include "cli/commands.h"
#include "cli/listings.h"
#include "sim/cluster/cluster.h"
#include "sim/cluster/graph_importer.h"
#include "sim/model/moe_model.h"
#include "sim/plan/all_to_all.h"
#include "sim/plan/collective.h"
#include "sim/plan/overlap.h"
#include "sim/plan/placement.h"
#include "sim/train/pipeline.h"
#include "workloads/traces/importer.h"

namespace moesim {
namespace {

template <class Part>
std::vector<ListedName> catalog_entries() {
  std::vector<ListedName> listed;
  for (const auto& [name, entry] : Catalog<Part>::instance().entries())
    listed.push_back({name, entry.description});
  return listed;
}

std::vector<ListedName> all_to_all_entries() {
  std::vector<ListedName> listed = catalog_entries<AllToAllPart>();
  for (ListedName& one : listed)
    one.sms = Catalog<AllToAllPart>::instance().find(one.name)->default_sms;
  return listed;
}

std::vector<ListedName> topology_entries() {
  std::vector<ListedName> listed = catalog_entries<TopologyPart>();
  for (ListedName& one : listed)
    one.options = Catalog<TopologyPart>::instance().find(one.name)->options;
  return listed;
}

Listing name_listing(const char* kind, std::vector<std::string> (*names)()) {
  return {kind, [names] {
            std::vector<ListedName> listed;
            for (const std::string& name : names()) listed.push_back({name});
            return listed;
          }};
}

}  // namespace

const std::vector<Listing>& listings() {
  static const std::vector<Listing> all{
      {"topologies", topology_entries},
      {"placements", catalog_entries<PlacementPart>},
      {"all_to_all", all_to_all_entries},
      {"collectives", catalog_entries<CollectivePart>},
      {"overlaps", catalog_entries<OverlapPart>},
      {"training_schedules", catalog_entries<SchedulePart>},
      {"charts", catalog_entries<ChartPart>},
      {"importers", catalog_entries<TraceImporter>},
      {"graph_importers", catalog_entries<GraphImporter>},
      name_listing("models", model_names),
      name_listing("accelerators", accelerator_names),
      name_listing("clusters", cluster_preset_names),
  };
  return all;
}

namespace {

// The listing of that kind, or all.
std::vector<Listing> chosen(const std::string& kind) {
  if (kind.empty()) return listings();
  std::vector<std::string> kinds;
  for (const Listing& listing : listings()) {
    if (kind == listing.kind) return {listing};
    kinds.emplace_back(listing.kind);
  }
  throw InputError("unknown list \"" + kind + "\"" + name_help(kind, kinds));
}

void print_text(const std::vector<Listing>& chosen) {
  for (const Listing& listing : chosen) {
    fmt::print("{}\n", listing.kind);
    for (const ListedName& one : listing.entries()) {
      std::string line = fmt::format("  {:<24} {}", one.name, one.description);
      if (one.sms > 0) line += fmt::format(" ({} SMs)", one.sms);
      if (!one.options.empty()) line += fmt::format("; options: {}", fmt::join(one.options, ", "));
      fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
  }
}

void print_json(const std::vector<Listing>& chosen) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Listing& listing : chosen) {
    nlohmann::ordered_json& entries = json[listing.kind] = nlohmann::ordered_json::array();
    for (const ListedName& one : listing.entries()) {
      nlohmann::ordered_json entry{{"name", one.name}};
      if (!one.description.empty()) entry["description"] = one.description;
      if (one.sms > 0) entry["sms"] = one.sms;
      if (std::string_view(listing.kind) == "topologies") entry["options"] = one.options;
      entries.push_back(std::move(entry));
    }
  }
  fmt::print("{}\n", json.dump(1));
}

struct ListArguments {
  std::string kind;
  bool json = false;
};

void add_list(CLI::App& command) {
  const auto arguments = std::make_shared<ListArguments>();
  command.add_option("kind", arguments->kind, "one of them (default: all)");
  command.add_flag("--json", arguments->json, "print JSON");
  command.footer("Example: moesim list placements");
  command.callback([arguments] {
    const std::vector<Listing> listed = chosen(arguments->kind);
    arguments->json ? print_json(listed) : print_text(listed);
  });
}

const Registered<Command> registered{
    "list",
    "List topologies, placements, all_to_all, collectives, overlaps, "
    "training_schedules, charts, importers, graph_importers, models, "
    "accelerators, clusters",
    {add_list}};

}  // namespace
}  // namespace moesim
