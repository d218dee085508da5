// SGLang's count modes: per_pass (physical counts of each rank and forward pass) and stat,
// stat_approx (logical counts of each step, summed over ranks by SGLang).
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "workloads/traces/expert_counts.h"
#include "workloads/traces/sglang_dump.h"

namespace moesim {
namespace {

constexpr std::int64_t kMostExperts = 65534;

// Physical counts of one record, added to logical counts.
void add_logical(const std::vector<std::int64_t>& physical,
                 const SglangMap& map,
                 const TorchValue& place,
                 std::vector<std::int64_t>& logical) {
  for (std::size_t i = 0; i < physical.size(); ++i) {
    const std::size_t at = i / map.physical * static_cast<std::size_t>(map.experts) +
                           static_cast<std::size_t>(map.logical[i]);
    if (physical[i] < 0 || __builtin_add_overflow(logical[at], physical[i], &logical[at]))
      place.fail(fmt::format("layer {}, physical expert {}: count {}", i / map.physical,
                             i % map.physical, physical[i]));
  }
}

std::vector<std::int64_t> physical_counts(const TorchValue& value, const SglangMap& map) {
  const std::vector<std::int64_t>& shape = value.as_tensor().shape;
  if (shape != std::vector<std::int64_t>{static_cast<std::int64_t>(map.layers),
                                         static_cast<std::int64_t>(map.physical)})
    value.fail(
        fmt::format("is no tensor of [{} layers, {} physical experts]", map.layers, map.physical));
  return value.tensor_integers();
}

bool is_zero(const std::vector<std::int64_t>& counts) {
  return std::all_of(counts.begin(), counts.end(), [](std::int64_t count) { return count == 0; });
}

void add_group(CountTable& table, std::vector<std::int64_t> counts) {
  if (is_zero(counts)) return;  // an unused place of the recorder's ring buffer, or an idle pass
  CountGroup group;
  group.step = static_cast<std::int32_t>(table.groups.size());
  group.counts = std::move(counts);
  table.groups.push_back(std::move(group));
}

}  // namespace

ImportedTrace read_sglang_passes(const SglangRecords& records, const ImportOptions& options) {
  const SglangMap& first = records.maps.front();
  CountTable table;
  table.name = records.name;
  table.layers = first.layers;
  table.experts = static_cast<std::size_t>(first.experts);
  table.domains = {"all"};
  std::size_t copies = 0;
  for (std::size_t i = 0; i < records.records.size();) {
    const std::int64_t id = records.records[i].forward_pass;
    std::vector<std::int64_t> logical(table.layers * table.experts, 0);
    std::vector<std::vector<std::int64_t>> of_pass;
    for (; i < records.records.size() && records.records[i].forward_pass == id; ++i) {
      const SglangMap& map = records.maps[records.records[i].file];
      const TorchValue value = records.records[i].value.at("global_physical_count");
      std::vector<std::int64_t> counts = physical_counts(value, map);
      if (is_zero(counts)) continue;  // an idle rank
      if (std::find(of_pass.begin(), of_pass.end(), counts) != of_pass.end()) {
        ++copies;
        continue;
      }
      add_logical(counts, map, value, logical);
      of_pass.push_back(std::move(counts));
    }
    add_group(table, std::move(logical));
  }
  if (table.groups.empty()) throw InputError(table.name + ": it holds no counts");
  ImportedTrace imported = draw_from_counts(table, options);
  if (copies > 0)
    imported.notes.push_back(fmt::format(
        "{} records are left out: another rank counted the same (tensor parallelism)", copies));
  return imported;
}

ImportedTrace read_sglang_stat(std::span<const ImportFile> files,
                               const std::vector<TorchValue>& roots,
                               const ImportOptions& options) {
  CountTable table;
  table.name = files.front().name;
  table.domains = {"all"};
  for (const TorchValue& root : roots) {
    const TorchValue value = root.at("logical_count");
    std::vector<std::int64_t> shape = value.as_tensor().shape;
    if (shape.size() == 2) shape.insert(shape.begin(), 1);  // before SGLang 0.4.7: all steps summed
    if (shape.size() != 3 || shape[1] == 0 || shape[2] == 0 || shape[2] > kMostExperts)
      value.fail("is no tensor of [steps, layers, experts]");
    if (table.layers == 0) {
      table.layers = static_cast<std::size_t>(shape[1]);
      table.experts = static_cast<std::size_t>(shape[2]);
    }
    if (shape[1] != static_cast<std::int64_t>(table.layers) ||
        shape[2] != static_cast<std::int64_t>(table.experts))
      value.fail(fmt::format("has {} layers of {} experts, the first file {} of {}", shape[1],
                             shape[2], table.layers, table.experts));
    const std::vector<std::int64_t> counts = value.tensor_integers();
    const std::size_t of_step = table.layers * table.experts;
    for (std::size_t at = 0; at < counts.size(); at += of_step)
      add_group(table, {counts.begin() + static_cast<std::ptrdiff_t>(at),
                        counts.begin() + static_cast<std::ptrdiff_t>(at + of_step)});
  }
  if (table.groups.empty()) throw InputError(table.name + ": it holds no counts");
  return draw_from_counts(table, options);
}

}  // namespace moesim
