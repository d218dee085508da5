// Chooses the importer of a file.
#include "sim/cluster/graph_importer.h"

#include "sim/io/files.h"

namespace moesim {

ImportedGraph import_graph(const std::string& path,
                           const std::string& format,
                           const GraphImportOptions& options) {
  const Catalog<GraphImporter>& catalog = Catalog<GraphImporter>::instance();
  const std::string text = read_text_file(path);
  const GraphImporter* chosen = format.empty() ? nullptr : &catalog.at(format, "format");
  std::string known;
  for (const auto& [name, entry] : catalog.entries()) {
    known += (known.empty() ? "" : "; ") + name + ": " + entry.description;
    if (chosen == nullptr && entry.part.probe(text)) chosen = &entry.part;
  }
  if (chosen == nullptr)
    throw InputError(path + ": is of no format known here (" + known + "); --format names one");
  ImportedGraph imported = chosen->read(text, path, options);
  check_fabric_file(imported.graph, path);
  return imported;
}

BytesPerSecond AssumedBandwidth::use(std::vector<std::string>& notes) {
  if (!note_.empty()) notes.push_back(note_);
  note_.clear();
  return rate_;
}

}  // namespace moesim
