// From an axis of recorded layers to the MoE layers of a trace.
#include "workloads/traces/recorded_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace moesim {
namespace {

constexpr int kMostExperts = 65534;  // a trace's ids have 16 bits, and 65535 means not routed

std::vector<bool> routed_layers(const RecordedRows& rows) {
  std::vector<bool> routed(rows.layers, false);
  std::size_t place = 0;
  for (const std::uint16_t expert : rows.experts_of) {
    if (expert != kNotRouted) routed[place / rows.slots] = true;
    if (++place == rows.layers * rows.slots) place = 0;
  }
  return routed;
}

std::size_t used_slots(const RecordedRows& rows) {
  std::size_t used = 0;
  std::size_t slot = 0;
  for (const std::uint16_t expert : rows.experts_of) {
    ++slot;
    if (expert != kNotRouted) used = std::max(used, slot);
    if (slot == rows.slots) slot = 0;
  }
  return used;
}

// Keeps the routed layers and the first `slots` slots, in place.
void compact(RecordedRows& rows, const std::vector<bool>& routed, std::size_t slots) {
  std::size_t to = 0;
  std::size_t from = 0;
  while (from < rows.experts_of.size()) {
    for (std::size_t layer = 0; layer < rows.layers; ++layer, from += rows.slots) {
      if (!routed[layer]) continue;
      for (std::size_t slot = 0; slot < slots; ++slot)
        rows.experts_of[to++] = rows.experts_of[from + slot];
    }
  }
  rows.experts_of.resize(to);
}

std::vector<int> of_routed(const std::vector<int>& axis, const std::vector<bool>& routed) {
  std::vector<int> ids;
  for (std::size_t i = 0; i < axis.size(); ++i)
    if (routed[i]) ids.push_back(axis[i]);
  return ids;
}

int largest_expert(const std::vector<std::uint16_t>& experts) {
  int largest = -1;
  for (const std::uint16_t expert : experts)
    if (expert != kNotRouted) largest = std::max(largest, int{expert});
  return largest;
}

}  // namespace

bool recorded_expert(std::int64_t id, int experts, std::uint16_t& expert) {
  if (id < 0) {
    expert = kNotRouted;
    return true;
  }
  if (id >= (experts == 0 ? kMostExperts : experts)) return false;
  expert = static_cast<std::uint16_t>(id);
  return true;
}

std::string allowed_experts(int experts) {
  return fmt::format("allowed: 0 to {}, or a negative one for not routed",
                     (experts == 0 ? kMostExperts : experts) - 1);
}

int known_experts(const std::string& name, int recorded, const ImportOptions& options) {
  if (recorded > kMostExperts)
    throw InputError(fmt::format("{}: {} experts, allowed: 1 to {}", name, recorded, kMostExperts));
  if (recorded != 0 && options.experts != 0 && recorded != options.experts)
    throw InputError(fmt::format("{}: it says {} experts, --experts or --model {}", name, recorded,
                                 options.experts));
  return recorded != 0 ? recorded : options.experts;
}

std::vector<int> choose_layer_ids(const std::string& name,
                                  const std::vector<bool>& routed,
                                  const std::vector<int>& recorded,
                                  const ImportOptions& options) {
  const auto kept = static_cast<std::size_t>(std::count(routed.begin(), routed.end(), true));
  if (kept == 0) throw InputError(name + ": no token is routed in any layer");
  if (options.layers.size() == routed.size()) return of_routed(options.layers, routed);
  if (options.layers.size() == kept) return options.layers;
  if (!options.layers.empty())
    throw InputError(fmt::format("{}: --layers names {} layers; {} are recorded, {} of them routed",
                                 name, options.layers.size(), routed.size(), kept));
  if (recorded.size() == routed.size()) return of_routed(recorded, routed);
  if (options.model_layers.size() == routed.size()) return of_routed(options.model_layers, routed);
  std::vector<int> axis(routed.size());
  for (std::size_t i = 0; i < axis.size(); ++i) axis[i] = static_cast<int>(i);
  return of_routed(axis, routed);
}

ImportedTrace finish_rows(RecordedRows rows, const ImportOptions& options) {
  ImportedTrace imported;
  if (rows.request.empty()) throw InputError(rows.name + ": it holds no tokens");
  const std::vector<bool> routed = routed_layers(rows);
  TraceHeader& header = imported.columns.header;
  header.layer_ids = choose_layer_ids(rows.name, routed, rows.layer_ids, options);
  const std::size_t slots = used_slots(rows);
  if (header.layer_ids.size() < routed.size())
    imported.notes.push_back(
        fmt::format("{} of {} recorded layers are left out: no token is routed in them",
                    routed.size() - header.layer_ids.size(), routed.size()));
  compact(rows, routed, slots);
  header.top_k = static_cast<int>(slots);
  header.experts = known_experts(rows.name, rows.experts, options);
  if (header.experts == 0) {
    header.experts = std::max(largest_expert(rows.experts_of) + 1, header.top_k);
    imported.notes.push_back(fmt::format(
        "the format does not say how many experts there are; {} = the largest id + 1 is assumed "
        "(--experts or --model says otherwise)",
        header.experts));
  }
  const std::size_t tokens = rows.request.size();
  TraceColumns& columns = imported.columns;
  columns.experts = std::move(rows.experts_of);
  columns.request = std::move(rows.request);
  columns.position = std::move(rows.position);
  columns.step = std::move(rows.step);
  columns.source_rank = std::move(rows.source_rank);
  columns.phase = std::move(rows.phase);
  columns.domain.assign(tokens, 0);
  return imported;
}

}  // namespace moesim
