// One SGLang recorder dump as a value tree: what is common to its modes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/io/torch_archive.h"
#include "workloads/traces/importer.h"

namespace moesim {

// A record of one forward pass on one rank.
struct SglangRecord {
  TorchValue value;
  std::int64_t forward_pass = 0;
  std::int32_t rank = 0;
  std::size_t file = 0;  // into the maps
};

// Physical expert -> logical expert, [layer][physical].
struct SglangMap {
  std::size_t layers = 0, physical = 0;
  int experts = 0;  // logical: the largest + 1
  std::vector<std::int64_t> logical;
};

// All records of the files by forward pass, then rank; one map a file.
struct SglangRecords {
  std::string name;  // of the first file
  std::vector<SglangRecord> records;
  std::vector<SglangMap> maps;
};

// InputError where files disagree on layers, physical experts or logical experts, or a record lacks
// forward_pass_id or rank.
SglangRecords read_sglang_records(std::span<const ImportFile> files,
                                  const std::vector<TorchValue>& roots);

// Modes per_token (exact routing), per_pass and stat (counts, drawn).
ImportedTrace read_sglang_tokens(const SglangRecords& records, const ImportOptions& options);
ImportedTrace read_sglang_passes(const SglangRecords& records, const ImportOptions& options);
ImportedTrace read_sglang_stat(std::span<const ImportFile> files,
                               const std::vector<TorchValue>& roots,
                               const ImportOptions& options);

}  // namespace moesim
