// Contract of a trace importer: routing that another program recorded becomes the columns of a
// routing trace. One file in workloads/traces/importers per format, registered under its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

// A file to import, held (mapped) by the caller; `name` stands in messages.
struct ImportFile {
  std::string name;
  std::span<const std::byte> bytes;
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// What the user says of the files, mostly because the format does not. Zero or empty = not said.
struct ImportOptions {
  std::string model;              // the trace's model name; else what the format says, or "unknown"
  int experts = 0;                // else the format's, or the largest id + 1
  int top_k = 0;                  // of count tables that do not say it
  std::vector<int> layers;        // the transformer layers that the recorded layers are
  std::vector<int> model_layers;  // the model's MoE layers, used where their number fits
  std::string domain;             // name of the only domain; else the format's, or "all"
  std::int64_t tokens = 0;        // count tables: tokens to draw; else what the counts imply
  std::int64_t prompt_tokens = 0;  // vLLM arrays of whole sequences: rows that are the prompt's
  std::uint64_t seed = 1;          // count tables
};

// `columns` are ready for make_trace, origin "imported". `notes` say, a sentence each, what was
// reconstructed, drawn, assumed or left out; import_trace puts them into the header.
struct ImportedTrace {
  TraceColumns columns;
  std::vector<std::string> notes;
};

// probe: whether the file looks like this format, from its first bytes or directory; it throws
// nothing and is quick on large files. read: all files of one recording (ranks, requests) together;
// InputError names file, place, value and what is allowed. Same files and options, same columns.
struct TraceImporter {
  bool (*probe)(const ImportFile& file);
  ImportedTrace (*read)(std::span<const ImportFile> files, const ImportOptions& options);
};

// Reads with the importer named `format`, or, when that is empty, with the one whose probe knows
// all files. InputError lists the formats when none or several do.
ImportedTrace import_trace(std::span<const ImportFile> files,
                           const std::string& format,
                           const ImportOptions& options);

}  // namespace moesim
