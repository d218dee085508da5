// sglang_expert_distribution: what SGLang's expert distribution recorder dumps (torch.save files;
// --expert-distribution-recorder-mode per_token, per_pass, stat, stat_approx).
// Looked up in November 2026: sgl-project/sglang, python/sglang/srt/eplb/expert_distribution.py at
// commits dd780ab9 and 02295fe5, and a fork of a later main (8d31665f), alike in what they write.
// per_token and per_pass: expert_distribution_recorder_<time>_<rank>.pt = {records,
// last_physical_to_logical_map [layers, physical]}; a record is {forward_pass_id, rank,
// gatherer_key, global_physical_count [layers, physical]} and, in per_token, {input_ids, positions,
// extend_seq_lens, forward_mode, topk_ids_of_layer [layers, tokens, 8] int32 physical ids, -1 =
// none, misc_objects}. stat: expert_distribution_recorder_<time>.pt = {rank, logical_count [steps,
// layers, experts], average_utilization_rate_over_window}.
#include <fmt/format.h>

#include "sim/io/zip.h"
#include "workloads/traces/sglang_dump.h"

namespace moesim {
namespace {

enum class Mode { per_token, per_pass, stat };

Mode mode_of(const TorchValue& root) {
  if (root.is_dictionary() && root.find("logical_count")) return Mode::stat;
  if (!root.is_dictionary() || !root.find("records"))
    root.fail(
        "holds neither \"records\" (modes per_token, per_pass) nor \"logical_count\" (stat): "
        "no dump of SGLang's expert distribution recorder");
  const TorchValue records = root.at("records");
  if (records.size() == 0) records.fail("is empty: nothing was recorded");
  return records.item(0).find("topk_ids_of_layer") ? Mode::per_token : Mode::per_pass;
}

const char* name_of(Mode mode) {
  if (mode == Mode::stat) return "stat";
  return mode == Mode::per_token ? "per_token" : "per_pass";
}

ImportedTrace read_sglang(std::span<const ImportFile> files, const ImportOptions& options) {
  std::vector<TorchValue> roots;
  roots.reserve(files.size());
  for (const ImportFile& file : files) roots.push_back(TorchArchive(file.bytes, file.name).root());
  const Mode mode = mode_of(roots.front());
  for (std::size_t i = 1; i < roots.size(); ++i)
    if (const Mode other = mode_of(roots[i]); other != mode)
      throw InputError(fmt::format("{}: mode {}, but {} is {}", files[i].name, name_of(other),
                                   files.front().name, name_of(mode)));
  if (mode == Mode::stat) return read_sglang_stat(files, roots, options);
  const SglangRecords records = read_sglang_records(files, roots);
  return mode == Mode::per_token ? read_sglang_tokens(records, options)
                                 : read_sglang_passes(records, options);
}

// A zip whose first members are those torch.save writes first.
bool probe_sglang(const ImportFile& file) {
  if (!looks_like_zip(file.bytes)) return false;
  constexpr std::size_t kLooked = 4096;
  return file.text().substr(0, kLooked).find("/data.pkl") != std::string_view::npos;
}

const Registered<TraceImporter> registered{
    "sglang_expert_distribution",
    "dumps of SGLang's expert distribution recorder (.pt), all modes",
    {probe_sglang, read_sglang}};

}  // namespace
}  // namespace moesim
