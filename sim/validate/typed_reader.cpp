// Machine keys of records, turned into clusters.
#include "sim/validate/typed_reader.h"

#include <algorithm>
#include <cctype>

#include "sim/core/units.h"

namespace moesim {
namespace {

constexpr int kMostRanks = 4096;  // paths are kept for every pair

// NVLink in a preset is the accelerator's rating unless the preset says otherwise, and a record's
// lower figure is mostly what its authors saw reached (DeepEP's 160 of H800's 200 GB/s), which the
// exchange's efficiency stands for already.
constexpr double kReachedShare = 0.75;

bool is_of(const ClusterSpec& spec, const std::string& name, const std::string& scale_out) {
  return name.ends_with("-" + scale_out) || (scale_out == "none" && spec.options.nodes == 1);
}

// Of the presets with this accelerator the one with this network, else any of them, else one made
// of what all presets of its kind share.
ClusterSpec preset_for(const std::string& accelerator, const std::string& scale_out) {
  ClusterSpec best;
  for (const std::string& name : cluster_preset_names()) {
    ClusterSpec spec = load_cluster_preset(name);
    if (spec.accelerator != accelerator) continue;
    const bool fits = is_of(spec, name, scale_out);
    if (best.accelerator.empty() || fits) best = std::move(spec);
    if (fits) break;
  }
  if (best.accelerator.empty()) {
    best = load_cluster_preset("h100-ib");
    best.accelerator = accelerator;
  }
  return best;
}

// Bytes a second; 0 = not stated.
double bandwidth_of(const JsonNode& typed, const char* key) {
  const auto found = typed.find(key);
  return found ? found->as_ratio(0.001, 1e6) * 1e9 : 0;
}

// GPUs of the ranks' NVLink domains. Only racks join more GPUs than a host has, and where the ranks
// do not fill their hosts, what each host has of them is one.
int domain_of(const JsonNode& typed, int ranks) {
  constexpr int kMostOfHost = 8;
  const int stated = int_of(typed, "scale_up_domain", kMostOfHost);
  const int of_host = int_of(typed, "gpus_per_node", stated);
  const int domain = std::min(ranks, stated > kMostOfHost ? stated : std::min(stated, of_host));
  const int nodes = int_of(typed, "nodes", 1);
  const bool even = ranks % nodes == 0 && ranks / nodes <= domain;
  return ranks % domain != 0 && even ? ranks / nodes : domain;
}

bool is_mesh(const ClusterSpec& spec) {
  return spec.topology == "nvlink_mesh" || spec.options.scale_up == ScaleUp::mesh;
}

}  // namespace

int int_of(const JsonNode& typed, const char* key, int otherwise) {
  const auto found = typed.find(key);
  return found ? static_cast<int>(found->as_int(1, 1 << 30)) : otherwise;
}

double number_of(const JsonNode& typed, const char* key, double otherwise) {
  const auto found = typed.find(key);
  return found ? found->as_number() : otherwise;
}

std::string text_of(const JsonNode& typed, const char* key, const std::string& otherwise) {
  const auto found = typed.find(key);
  return found ? found->as_string() : otherwise;
}

std::string choice_of(const JsonNode& typed,
                      const char* key,
                      const std::vector<std::string>& valid) {
  const auto found = typed.find(key);
  return found ? found->as_choice(valid, key) : "";
}

std::string accelerator_file(const JsonNode& accelerator) {
  std::string name = accelerator.as_string();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const std::vector<std::string> known = accelerator_names();
  for (const std::string& candidate : {name, name + "-sxm"})
    if (std::find(known.begin(), known.end(), candidate) != known.end()) return candidate;
  accelerator.fail("no accelerator file for \"" + accelerator.as_string() + "\"" +
                   name_help(name, known));
}

Cluster cluster_of(const JsonNode& typed, bool nic_only) {
  const int ranks = static_cast<int>(typed.at("ranks").as_int(1, kMostRanks));
  const int domain = nic_only ? 1 : domain_of(typed, ranks);
  if (ranks % domain != 0)
    typed.at("ranks").fail(std::to_string(ranks) + " ranks do not fill domains of " +
                           std::to_string(domain) + " GPUs (scale_up_domain)");
  const std::string scale_out = choice_of(typed, "scale_out", {"ib", "efa", "roce", "none"});
  ClusterSpec spec =
      preset_for(accelerator_file(typed.at("accelerator")), scale_out.empty() ? "none" : scale_out);
  TopologyOptions& options = spec.options;
  const bool mesh = is_mesh(spec);
  const int domains = ranks / domain;
  options.nodes = domains;
  options.gpus_per_node = domain;
  options.scale_up = ScaleUp::nvswitch;
  if (domains == 1) {
    options.oversubscription = 1;
    spec.topology = mesh && domain > 1 ? "nvlink_mesh" : "single_node";
  } else if (spec.topology != "fat_tree") {
    spec.topology = "rail_optimized";
    if (mesh && domain > 1) options.scale_up = ScaleUp::mesh;
  }
  const double nic = bandwidth_of(typed, "scale_out_bandwidth_gbs");
  if (nic > 0) options.nic = BytesPerSecond(nic);
  const double rating = load_accelerator(spec.accelerator).nvlink.value;
  const double nvlink = bandwidth_of(typed, "scale_up_bandwidth_gbs");
  if (nvlink > 0 && (nvlink < kReachedShare * rating || nvlink > rating))
    options.nvlink = BytesPerSecond(nvlink);
  return build_cluster(spec);
}

std::string machine_text(const JsonNode& typed) {
  const int ranks = int_of(typed, "ranks", 1), domain = int_of(typed, "scale_up_domain", 8);
  std::string text = std::to_string(ranks) + " " + typed.at("accelerator").as_string();
  if (ranks > domain) text += " in domains of " + std::to_string(domain);
  const std::string network = text_of(typed, "scale_out", "none");
  if (ranks > domain && network != "none") text += " over " + network;
  return text;
}

}  // namespace moesim
