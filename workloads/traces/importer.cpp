// Choosing an importer, by name or by what the files look like.
#include "workloads/traces/importer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace moesim {
namespace {

using Importers = Catalog<TraceImporter>;

std::vector<std::string> formats_of(const ImportFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : Importers::instance().entries())
    if (entry.part.probe(file)) names.push_back(name);
  return names;
}

std::string all_formats() {
  std::string text;
  for (const auto& [name, entry] : Importers::instance().entries())
    text += fmt::format("\n  {:<26} {}", name, entry.description);
  return text;
}

std::string probe_format(std::span<const ImportFile> files) {
  const std::vector<std::string> names = formats_of(files.front());
  if (names.empty())
    throw InputError(fmt::format("{}: looks like no format known; name it with --format:{}",
                                 files.front().name, all_formats()));
  if (names.size() > 1)
    throw InputError(fmt::format("{}: may be {}; name the format with --format", files.front().name,
                                 fmt::join(names, " or ")));
  for (const ImportFile& file : files) {
    const std::vector<std::string> others = formats_of(file);
    if (others != names)
      throw InputError(fmt::format(
          "{}: looks like {}, but {} like {}; files imported together are of one format", file.name,
          others.empty() ? "none" : fmt::format("{}", fmt::join(others, " or ")),
          files.front().name, names.front()));
  }
  return names.front();
}

}  // namespace

ImportedTrace import_trace(std::span<const ImportFile> files,
                           const std::string& format,
                           const ImportOptions& options) {
  if (files.empty()) throw InputError("no file to import");
  const std::string name = format.empty() ? probe_format(files) : format;
  const TraceImporter& importer = Importers::instance().at(name, "trace format");
  ImportedTrace imported = importer.read(files, options);
  TraceHeader& header = imported.columns.header;
  header.origin = "imported";
  if (!options.model.empty()) header.model = options.model;
  if (header.model.empty()) header.model = "unknown";
  if (!options.domain.empty()) {
    if (header.domains.size() > 1)
      throw InputError(fmt::format("{} holds {} domains; --domain names the only one of a file",
                                   files.front().name, header.domains.size()));
    header.domains = {options.domain};
  }
  if (header.domains.empty()) header.domains = {"all"};
  header.notes = imported.notes;
  return imported;
}

}  // namespace moesim
