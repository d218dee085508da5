// nccl_xml: the topology that NCCL (or RCCL) writes to the file named by NCCL_TOPO_DUMP_FILE: CPUs,
// below them PCI devices, GPUs with NVLinks or xGMI, NICs with their speed.
#include <cmath>
#include <cstdlib>
#include <map>

#include "sim/cluster/graph_importer.h"
#include "sim/io/xml_reader.h"

namespace moesim {
namespace {

// One direction of one NVLink, GB/s, by compute capability: NVIDIA's NVLink page (generations 1 to
// 5: 20, 25, 25, 25, 50) and the A40 data sheet (four links, 112.5 GB/s both ways).
double nvlink_of(int sm) {
  if (sm < 70) return 20;
  if (sm == 86) return 14;
  return sm >= 100 ? 50 : 25;
}

constexpr double kXgmi = 64;  // one direction of one MI300X link, AMD CDNA 3 white paper

struct NvLink {
  std::size_t gpu = 0;
  std::string target, kind;  // bus id, PCI class
  double bandwidth = 0;      // B/s, all links to this target
};

struct Reader {
  ImportedGraph result;
  GraphImportOptions options;
  AssumedBandwidth host;
  std::map<std::string, std::size_t> gpu_at;  // by host and bus id
  std::vector<NvLink> nvlinks;
  std::vector<std::size_t> cpus;
  std::map<std::string, int> nodes;  // by host hash
  std::string host_hash;
  int switches = 0;

  explicit Reader(const GraphImportOptions& said)
      : options(said),
        host(said.host,
             BytesPerSecond(32e9),
             "the file states no bandwidth between CPUs: 32 GB/s, --host says otherwise") {}
  void read_cpu(const XmlElement& cpu);
  void read_pci(const XmlElement& pci, std::size_t parent);
  void read_gpu(const XmlElement& gpu, const XmlElement& pci, std::size_t parent);
  void read_nic(const XmlElement& nic, const XmlElement& pci, std::size_t parent);
  void join_nvlinks();
};

double number_of(const XmlElement& element, const std::string& attribute) {
  const std::string text = element.at(attribute);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  constexpr double kMost = 1e9;  // a Pb/s, in the unit of a NIC's speed
  if (end == text.c_str() || !(value >= 0 && value <= kMost))
    element.fail(attribute + "=\"" + text + "\" is not a number from 0 to 1e9");
  return value;
}

// link_speed "16.0 GT/s PCIe" and link_width "16": lanes, less the line code (8b/10b up to 5 GT/s,
// 128b/130b from 8). Without both, x16 of the third generation, as NCCL takes it.
BytesPerSecond pcie_of(const XmlElement& pci, const GraphImportOptions& options) {
  if (options.pcie != BytesPerSecond{}) return options.pcie;
  const auto speed = pci.find("link_speed"), width = pci.find("link_width");
  const double transfers = speed && !speed->empty() ? number_of(pci, "link_speed") : 0;
  const double lanes = width && !width->empty() ? number_of(pci, "link_width") : 0;
  const double rate = transfers > 0 ? transfers : 8, used = lanes > 0 ? lanes : 16;
  return BytesPerSecond(rate * used / 8 * (rate <= 5 ? 0.8 : 128.0 / 130.0) * 1e9);
}

void Reader::read_gpu(const XmlElement& gpu, const XmlElement& pci, std::size_t parent) {
  const int sm = gpu.find("sm") ? static_cast<int>(number_of(gpu, "sm")) : 80;
  const int node = nodes.at(host_hash);
  const std::size_t device =
      result.graph.add_device(DeviceKind::gpu, "gpu " + std::to_string(gpu_at.size()), node);
  gpu_at[host_hash + pci.at("busid")] = device;
  result.graph.cables.push_back(
      {device, parent, LinkTier::pcie, pcie_of(pci, options), Seconds(0)});
  for (const XmlElement& link : gpu.children) {
    const bool xgmi = link.name == "xgmi";
    if (link.name != "nvlink" && !xgmi) continue;
    const double one = options.nvlink == BytesPerSecond{} ? (xgmi ? kXgmi : nvlink_of(sm)) * 1e9
                                                          : options.nvlink.value;
    const auto kind = link.find("tclass");
    nvlinks.push_back(
        {device, host_hash + link.at("target"), kind ? *kind : "", one * number_of(link, "count")});
  }
}

void Reader::read_nic(const XmlElement& nic, const XmlElement& pci, std::size_t parent) {
  for (const XmlElement& net : nic.children) {
    if (net.name != "net") continue;
    const auto name = net.find("name");
    const std::size_t device = result.graph.add_device(
        DeviceKind::nic, (name ? *name : "net") + " of node " +
                             std::to_string(nodes.at(host_hash)) + " (" + pci.at("busid") + ")");
    // A NIC brings in what its port and its PCIe slot both carry.
    BytesPerSecond rate = pcie_of(pci, options);
    if (options.nic != BytesPerSecond{})
      rate = std::min(rate, options.nic);
    else if (net.find("speed") && number_of(net, "speed") > 0)  // Mb/s
      rate = std::min(rate, BytesPerSecond(number_of(net, "speed") * 1e6 / 8));
    result.graph.cables.push_back({device, parent, LinkTier::pcie, rate, Seconds(0)});
    return;  // further ports share the slot
  }
}

void Reader::read_pci(const XmlElement& pci, std::size_t parent) {
  bool bridge = true;
  for (const XmlElement& child : pci.children) {
    if (child.name == "gpu") read_gpu(child, pci, parent);
    if (child.name == "nic") read_nic(child, pci, parent);
    bridge = bridge && child.name == "pci";
  }
  if (!bridge || pci.children.empty()) return;
  const std::size_t device =
      result.graph.add_device(DeviceKind::pcie_switch, "pcie switch " + std::to_string(switches++));
  result.graph.cables.push_back(
      {device, parent, LinkTier::pcie, pcie_of(pci, options), Seconds(0)});
  for (const XmlElement& child : pci.children) read_pci(child, device);
}

void Reader::read_cpu(const XmlElement& cpu) {
  const auto hash = cpu.find("host_hash");
  host_hash = hash ? *hash + " " : "";
  nodes.emplace(host_hash, static_cast<int>(nodes.size()));
  const std::size_t device = result.graph.add_device(
      DeviceKind::cpu, "cpu " + std::to_string(cpus.size()) + " (NUMA " + cpu.at("numaid") + ")");
  cpus.push_back(device);
  for (const XmlElement& child : cpu.children) {
    if (child.name == "pci") read_pci(child, device);
    if (child.name == "nic") read_nic(child, child, device);
  }
}

// Both ends list a cable between two GPUs; a switch has one device for all its bus ids of a node.
void Reader::join_nvlinks() {
  std::map<std::pair<std::size_t, std::size_t>, double> bandwidth;
  std::map<int, std::size_t> nvswitch;  // by node
  for (const NvLink& link : nvlinks) {
    const auto peer = gpu_at.find(link.target);
    if (peer != gpu_at.end()) {
      if (link.gpu < peer->second) bandwidth[{link.gpu, peer->second}] += link.bandwidth;
      continue;
    }
    if (!link.kind.starts_with("0x0680")) continue;  // a bridge device: not a switch, no GPU known
    const int node = result.graph.node_of[link.gpu];
    if (nvswitch.count(node) == 0)
      nvswitch[node] =
          result.graph.add_device(DeviceKind::nvswitch, "nvswitch " + std::to_string(node));
    bandwidth[{link.gpu, nvswitch[node]}] += link.bandwidth;
  }
  for (const auto& [pair, rate] : bandwidth)
    result.graph.cables.push_back(
        {pair.first, pair.second, LinkTier::nvlink, BytesPerSecond(rate), Seconds(0)});
}

ImportedGraph read_nccl_xml(const std::string& text,
                            const std::string& name,
                            const GraphImportOptions& options) {
  const XmlElement system = read_xml_text(text, name);
  if (system.name != "system") system.fail("wants the element \"system\", as NCCL writes it");
  Reader reader(options);
  reader.result.graph.source = "NCCL topology, " + name;
  reader.result.notes.emplace_back("the file states no latency: all are 0");
  std::size_t first = 0;  // CPU of this host
  for (const XmlElement& cpu : system.children) {
    if (cpu.name != "cpu") continue;
    const std::string before = reader.host_hash;
    const std::size_t known = reader.cpus.size();
    reader.read_cpu(cpu);
    if (known > 0 && reader.host_hash != before) first = known;
    // Joins each new CPU with those of its host before it.
    for (std::size_t other = first; other < known; ++other)
      reader.result.graph.cables.push_back({reader.cpus[other], reader.cpus[known], LinkTier::host,
                                            reader.host.use(reader.result.notes), Seconds(0)});
  }
  reader.join_nvlinks();
  return reader.result;
}

bool probe_nccl_xml(const std::string& text) {
  return text.find("<system") != std::string::npos && text.find("<cpu") != std::string::npos;
}

const Registered<GraphImporter> registered{
    "nccl_xml", "the XML of NCCL_TOPO_DUMP_FILE", {probe_nccl_xml, read_nccl_xml}};

}  // namespace
}  // namespace moesim
