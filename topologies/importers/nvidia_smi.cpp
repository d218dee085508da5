// nvidia_smi: the matrix that `nvidia-smi topo -m` prints. It states how two devices are joined
// (NV4: four NVLinks; PIX, PXB: PCIe switches; PHB: one host bridge; NODE: one NUMA node; SYS:
// across CPUs) and no bandwidth. Legend: https://docs.nvidia.com/deploy/nvidia-smi.
#include <map>
#include <sstream>

#include "sim/cluster/graph_importer.h"

namespace moesim {
namespace {

struct Matrix {
  std::vector<std::string> names;  // of columns that are devices: GPU0, NIC0, mlx5_0
  std::map<std::string, std::vector<std::string>> rows;  // cells under those columns
  std::map<std::string, int> lines;
};

// Cells are parted by tabs, padded by blanks, and coloured by escape codes in some versions.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\x1b') {
      at = std::min(line.find('m', at), line.size());
    } else if (line[at] == '\t') {
      cells.emplace_back();
    } else if (line[at] != '\r' && (line[at] != ' ' || !cells.back().empty())) {
      cells.back() += line[at];
    }
  }
  for (std::string& cell : cells) cell.erase(cell.find_last_not_of(' ') + 1);
  return cells;
}

bool is_gpu(const std::string& name) {
  return name.starts_with("GPU") && name.size() > 3 &&
         name.find_first_not_of("0123456789", 3) == std::string::npos;
}

Matrix read_matrix(const std::string& text, const std::string& file) {
  Matrix matrix;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::vector<std::string> cells = cells_of(line);
    if (matrix.names.empty()) {
      if (cells.size() < 2 || !cells[0].empty() || !is_gpu(cells[1])) continue;
      for (std::size_t i = 1; i < cells.size(); ++i) {
        if (cells[i].ends_with("Affinity") || cells[i].starts_with("GPU NUMA")) break;
        if (!cells[i].empty()) matrix.names.push_back(cells[i]);
      }
      continue;
    }
    if (cells[0].empty() || cells.size() <= matrix.names.size()) continue;
    matrix.lines[cells[0]] = number;
    matrix.rows[cells[0]] = {cells.begin() + 1,
                             cells.begin() + 1 + static_cast<std::ptrdiff_t>(matrix.names.size())};
  }
  if (matrix.names.empty()) throw InputError(file + ": holds no line of columns GPU0, GPU1, ...");
  for (const std::string& name : matrix.names) {
    if (matrix.rows.count(name) == 0)
      throw InputError(file + ": has a column \"" + name + "\" and no row of that name");
  }
  return matrix;
}

// How two devices are joined, as the PCIe part of the graph needs it: 0 the same PCIe switch, 1 the
// same CPU, 2 across CPUs, 3 NVLink.
int distance_of(const std::string& cell, const Location& where) {
  if (cell == "PIX" || cell == "PXB" || cell == "X") return 0;
  if (cell == "PHB" || cell == "NODE") return 1;
  if (cell == "SYS") return 2;
  if (cell.starts_with("NV")) return 3;
  throw InputError(where, "\"" + cell + "\" is not one of X, NV<links>, PIX, PXB, PHB, NODE, SYS");
}

struct Builder {
  const Matrix& matrix;
  std::string file;
  ImportedGraph result = {};
  std::vector<std::vector<int>> distance = {};
  std::vector<std::size_t> device_of = {};  // by column

  Location row(std::size_t a) const {
    return {file, matrix.lines.at(matrix.names[a]), 0, matrix.names[a]};
  }
  const std::string& cell(std::size_t a, std::size_t b) const {
    return matrix.rows.at(matrix.names[a])[b];
  }
  void add_devices();
  void add_nvlinks(AssumedBandwidth one);
  void add_pcie(AssumedBandwidth pcie, AssumedBandwidth host);
  std::vector<int> grouped(int reach) const;
  int links_between(std::size_t a, std::size_t b) const;
};

void Builder::add_devices() {
  for (std::size_t a = 0; a < matrix.names.size(); ++a) {
    const bool gpu = is_gpu(matrix.names[a]);
    device_of.push_back(
        result.graph.add_device(gpu ? DeviceKind::gpu : DeviceKind::nic, matrix.names[a]));
    distance.emplace_back();
    for (std::size_t b = 0; b < matrix.names.size(); ++b)
      distance.back().push_back(distance_of(cell(a, b), row(a)));
  }
}

int Builder::links_between(std::size_t a, std::size_t b) const {
  if (a == b || distance[a][b] != 3) return 0;
  const std::string count = cell(a, b).substr(2);
  if (count.empty() || count.size() > 3 ||
      count.find_first_not_of("0123456789") != std::string::npos)
    throw InputError(row(a), "\"" + cell(a, b) + "\" does not say how many NVLinks, as NV4 does");
  return std::stoi(count);
}

// Through an NVSwitch every pair is listed with all of a GPU's links. No GPU has more than 18, so
// that more than 18 over all peers are a switch.
void Builder::add_nvlinks(AssumedBandwidth one) {
  constexpr int kMostLinks = 18;
  const std::size_t count = matrix.names.size();
  int most = 0, links_of_switch = 0;
  for (std::size_t a = 0; a < count; ++a) {
    int sum = 0;
    for (std::size_t b = 0; b < count; ++b) {
      sum += links_between(a, b);
      links_of_switch = std::max(links_of_switch, links_between(a, b));
    }
    most = std::max(most, sum);
  }
  if (most > kMostLinks) {
    const std::size_t nvswitch = result.graph.add_device(DeviceKind::nvswitch, "nvswitch 0");
    for (std::size_t a = 0; a < count; ++a) {
      if (!is_gpu(matrix.names[a])) continue;
      result.graph.cables.push_back({device_of[a], nvswitch, LinkTier::nvlink,
                                     one.use(result.notes) * links_of_switch, Seconds(0)});
    }
    return;
  }
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = a + 1; b < count; ++b) {
      if (const int links = links_between(a, b); links > 0)
        result.graph.cables.push_back({device_of[a], device_of[b], LinkTier::nvlink,
                                       one.use(result.notes) * links, Seconds(0)});
    }
  }
}

// Columns that reach each other within `reach`, over others too, share a number. NVLink hides how
// two GPUs are joined by PCIe; their NICs show it mostly.
std::vector<int> Builder::grouped(int reach) const {
  const std::size_t count = matrix.names.size();
  std::vector<int> group(count, -1);
  int groups = 0;
  for (std::size_t first = 0; first < count; ++first) {
    if (group[first] >= 0) continue;
    std::vector<std::size_t> open{first};
    group[first] = groups++;
    while (!open.empty()) {
      const std::size_t at = open.back();
      open.pop_back();
      for (std::size_t other = 0; other < count; ++other) {
        if (group[other] >= 0 || distance[at][other] > reach) continue;
        group[other] = group[at];
        open.push_back(other);
      }
    }
  }
  return group;
}

void Builder::add_pcie(AssumedBandwidth pcie, AssumedBandwidth host) {
  const std::vector<int> switches = grouped(0), cpus = grouped(1);
  std::map<int, std::size_t> cpu_device, switch_device;
  for (const int cpu : cpus) {
    if (cpu_device.count(cpu) == 0)
      cpu_device[cpu] =
          result.graph.add_device(DeviceKind::cpu, "cpu " + std::to_string(cpu_device.size()));
  }
  for (std::size_t a = 0; a < switches.size(); ++a) {
    if (switch_device.count(switches[a]) == 0) {
      switch_device[switches[a]] = result.graph.add_device(
          DeviceKind::pcie_switch, "pcie switch " + std::to_string(switch_device.size()));
      result.graph.cables.push_back({switch_device[switches[a]], cpu_device[cpus[a]],
                                     LinkTier::pcie, pcie.use(result.notes), Seconds(0)});
    }
    result.graph.cables.push_back({device_of[a], switch_device[switches[a]], LinkTier::pcie,
                                   pcie.use(result.notes), Seconds(0)});
  }
  for (auto a = cpu_device.begin(); a != cpu_device.end(); ++a) {
    for (auto b = std::next(a); b != cpu_device.end(); ++b)
      result.graph.cables.push_back(
          {a->second, b->second, LinkTier::host, host.use(result.notes), Seconds(0)});
  }
}

ImportedGraph read_nvidia_smi(const std::string& text,
                              const std::string& name,
                              const GraphImportOptions& options) {
  using namespace literals;
  const Matrix matrix = read_matrix(text, name);
  Builder builder{matrix, name};
  builder.result.graph.source = "nvidia-smi topo -m, " + name;
  builder.result.notes.push_back("the matrix states no latency: all are 0");
  builder.add_devices();
  builder.add_nvlinks(
      {options.nvlink, 25_GBps,
       "the matrix states no bandwidth: 25 GB/s for an NVLink (generations 2 to 4), "
       "--nvlink says otherwise"});
  builder.add_pcie({options.pcie, 32_GBps,
                    "the matrix states no bandwidth: 32 GB/s for PCIe (Gen4 x16), --pcie says "
                    "otherwise"},
                   {options.host, 32_GBps,
                    "the matrix states no bandwidth: 32 GB/s between CPUs, --host says otherwise"});
  return builder.result;
}

bool probe_nvidia_smi(const std::string& text) {
  return text.find("GPU0") != std::string::npos && text.find("<") == std::string::npos &&
         text.find('\t') != std::string::npos;
}

const Registered<GraphImporter> registered{
    "nvidia_smi", "the matrix of nvidia-smi topo -m", {probe_nvidia_smi, read_nvidia_smi}};

}  // namespace
}  // namespace moesim
