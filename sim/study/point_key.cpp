// A point's key: equal keys, equal results.
#include <algorithm>
#include <filesystem>
#include <set>

#include "sim/cluster/json_folder.h"
#include "sim/io/files.h"
#include "sim/io/plugins.h"
#include "sim/io/program_path.h"
#include "sim/model/moe_model.h"
#include "sim/study/study.h"
#include "sim/trace/routing_trace.h"

namespace moesim {
namespace {

void add_folder(Sha256& hash, const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) hash.add(MappedFile(file).bytes());
}

void hash_accelerators(Sha256& hash, const ClusterSpec& cluster) {
  std::set<std::string> names{cluster.accelerator};
  for (const NodeGroup& group : cluster.node_groups)
    if (!group.accelerator.empty()) names.insert(group.accelerator);
  for (const std::string& name : names)
    hash.add(MappedFile(json_path("topologies/accelerators", name, "accelerator")).bytes());
}

std::string model_file(const std::string& model) {
  if (std::filesystem::is_directory(model)) return model + "/config.json";
  return std::filesystem::exists(model) ? model : data_path("workloads/models/" + model + ".json");
}

}  // namespace

const std::string& program_hash() {
  static const std::string hash = [] {
    Sha256 sha;
    sha.add(MappedFile(program_path()).bytes());
    for (const std::string& file : plugin_files()) sha.add(MappedFile(file).bytes());
    return sha.hex();
  }();
  return hash;
}

std::string point_key(const StudyPoint& point, const std::string& trace_path) {
  Sha256 hash;
  hash.add(point.canonical_json);
  hash.add(open_trace(trace_path, TraceCheck::header).header.data_sha256);
  hash.add(MappedFile(model_file(point.scenario.model)).bytes());
  const ClusterSpec& cluster = point.scenario.cluster;
  hash_accelerators(hash, cluster);
  if (!cluster.preset.empty()) {
    hash.add(
        MappedFile(json_path("topologies/clusters", cluster.preset, "cluster preset")).bytes());
  }
  if (!cluster.options.graph.empty()) hash.add(MappedFile(cluster.options.graph).bytes());
  for (const std::string& file : {cluster.calibration, cluster.kernel_table,
                                  point.scenario.placement_file, point.scenario.previous_placement})
    if (!file.empty()) hash.add(MappedFile(file).bytes());
  add_folder(hash, data_path("topologies/calibration"));
  hash.add(program_hash());
  return hash.hex().substr(0, 32);
}

}  // namespace moesim
