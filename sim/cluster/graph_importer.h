// Contract of a graph importer: what another program says of a machine or a network becomes a
// FabricFile. One file in topologies/importers per format, registered under its name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/cluster/fabric_file.h"
#include "sim/core/catalog.h"

namespace moesim {

// What the user says of bandwidths that a format does not state, one direction. 0 = not said.
struct GraphImportOptions {
  BytesPerSecond nvlink;  // of one NVLink
  BytesPerSecond nic;     // of one NIC
  BytesPerSecond pcie;    // of a GPU's or NIC's PCIe port
  BytesPerSecond host;    // between two CPUs
};

// `notes` say, a sentence each, what was assumed or left out.
struct ImportedGraph {
  FabricFile graph;
  std::vector<std::string> notes;
};

// probe: whether the text looks like this format; throws nothing. read: InputError names `name`
// (the file), line and value. Same text and options, same graph.
struct GraphImporter {
  std::function<bool(const std::string& text)> probe;
  std::function<ImportedGraph(
      const std::string& text, const std::string& name, const GraphImportOptions& options)>
      read;
};

// Reads the file with the importer that `format` names, or, when it is empty, the one that knows
// the file. InputError when none does.
ImportedGraph import_graph(const std::string& path,
                           const std::string& format,
                           const GraphImportOptions& options);

// Bandwidths that stand in no file: what the options say, else what was common when this was
// written, with a note. Each is looked up once for each `what`.
class AssumedBandwidth {
 public:
  AssumedBandwidth(BytesPerSecond said, BytesPerSecond usual, std::string note)
      : rate_(said == BytesPerSecond{} ? usual : said),
        note_(said == BytesPerSecond{} ? std::move(note) : "") {}
  BytesPerSecond use(std::vector<std::string>& notes);  // adds the note the first time

 private:
  BytesPerSecond rate_;
  std::string note_;
};

}  // namespace moesim
