// moesim list: every part in the catalogs and every data file the program can name.
#include <fmt/format.h>

#include <memory>

#include "analysis/analysis.h"
#include "cli/commands.h"
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

struct Listing {
  const char* name;
  std::function<void()> print;
};

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

const std::vector<Listing>& listings() {
  static const std::vector<Listing> all{
      {"topologies", print_catalog<TopologyPart>},
      {"placements", print_catalog<PlacementPart>},
      {"all_to_all", print_all_to_all},
      {"collectives", print_catalog<CollectivePart>},
      {"overlaps", print_catalog<OverlapPart>},
      {"training_schedules", print_catalog<SchedulePart>},
      {"charts", print_catalog<ChartPart>},
      {"importers", print_catalog<TraceImporter>},
      {"graph_importers", print_catalog<GraphImporter>},
      {"models", [] { print_names(model_names()); }},
      {"accelerators", [] { print_names(accelerator_names()); }},
      {"clusters", [] { print_names(cluster_preset_names()); }},
  };
  return all;
}

void list(const std::string& kind) {
  std::vector<std::string> names;
  for (const Listing& listing : listings()) {
    names.emplace_back(listing.name);
    if (!kind.empty() && kind != listing.name) continue;
    fmt::print("{}\n", listing.name);
    listing.print();
    if (!kind.empty()) return;
  }
  if (!kind.empty()) throw InputError("unknown list \"" + kind + "\"" + name_help(kind, names));
}

void add_list(CLI::App& command) {
  const auto kind = std::make_shared<std::string>();
  command.add_option("kind", *kind, "one of them (default: all)");
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
