// moesim list: every part in the catalogs and every data file the program can name.
#include <fmt/format.h>

#include <memory>

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
void print_catalog() {
  for (const auto& [name, entry] : Catalog<Part>::instance().entries())
    fmt::print("  {:<24} {}\n", name, entry.description);
}

// Beside the description, the SMs that the kernels of an exchange hold.
void print_all_to_all() {
  for (const auto& [name, entry] : Catalog<AllToAllPart>::instance().entries()) {
    const int sms = entry.part.default_sms;
    fmt::print("  {:<24} {}{}\n", name, entry.description,
               sms > 0 ? fmt::format(" ({} SMs)", sms) : "");
  }
}

void print_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) fmt::print("  {}\n", name);
}

template <class Part>
Listing catalog_listing(const char* kind) {
  return {kind, [] { return Catalog<Part>::instance().names(); }, print_catalog<Part>};
}

Listing name_listing(const char* kind, std::vector<std::string> (*names)()) {
  return {kind, names, [names] { print_names(names()); }};
}

}  // namespace

const std::vector<Listing>& listings() {
  static const std::vector<Listing> all{
      catalog_listing<TopologyPart>("topologies"),
      catalog_listing<PlacementPart>("placements"),
      {"all_to_all", [] { return Catalog<AllToAllPart>::instance().names(); }, print_all_to_all},
      catalog_listing<CollectivePart>("collectives"),
      catalog_listing<OverlapPart>("overlaps"),
      catalog_listing<SchedulePart>("training_schedules"),
      catalog_listing<ChartPart>("charts"),
      catalog_listing<TraceImporter>("importers"),
      catalog_listing<GraphImporter>("graph_importers"),
      name_listing("models", model_names),
      name_listing("accelerators", accelerator_names),
      name_listing("clusters", cluster_preset_names),
  };
  return all;
}

namespace {

void list(const std::string& kind) {
  std::vector<std::string> names;
  for (const Listing& listing : listings()) {
    names.emplace_back(listing.kind);
    if (!kind.empty() && kind != listing.kind) continue;
    fmt::print("{}\n", listing.kind);
    listing.print();
    if (!kind.empty()) return;
  }
  if (!kind.empty()) throw InputError("unknown list \"" + kind + "\"" + name_help(kind, names));
}

void add_list(CLI::App& command) {
  const auto kind = std::make_shared<std::string>();
  command.add_option("kind", *kind, "one of them (default: all)");
  command.footer("Example: moesim list placements");
  command.callback([kind] { list(*kind); });
}

const Registered<Command> registered{
    "list",
    "List topologies, placements, all_to_all, collectives, overlaps, "
    "training_schedules, charts, importers, graph_importers, models, "
    "accelerators, clusters",
    {add_list}};

}  // namespace
}  // namespace moesim
