// Rows as recorders give them, over an axis of layers of which some may be dense, and the columns
// of a trace they become.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "workloads/traces/importer.h"

namespace moesim {

// Columns as in TraceColumns; experts is [token][layer of the axis][slot], kNotRouted where nothing
// was recorded. source_rank may be empty.
struct RecordedRows {
  std::string name;            // what messages call the source
  std::size_t layers = 0;      // the axis
  std::size_t slots = 0;       // top_k, or more: slots that no row uses are dropped
  int experts = 0;             // 0 = the format does not say
  std::vector<int> layer_ids;  // of the axis, where the format says them
  std::vector<std::uint16_t> experts_of;
  std::vector<std::int32_t> request, position, step, source_rank;
  std::vector<std::uint8_t> phase;
};

// An id as recorded: negative = not routed. `experts` 0 = any a trace can hold. False = out of
// range, the caller's to report, with its place.
bool recorded_expert(std::int64_t id, int experts, std::uint16_t& expert);

// "allowed: 0 to 63, or negative for not routed", the tail of the message about such an id.
std::string allowed_experts(int experts);

// The number of experts: the format's or the user's (InputError when they differ), 0 = neither.
int known_experts(const std::string& name, int recorded, const ImportOptions& options);

// The transformer layers of those axis layers that are `routed`: the user's list where its length
// is the axis's or the routed layers', then the format's, then the model's where its MoE layers are
// as many as the axis, else the axis's own numbers. InputError when a list does not fit or none is
// routed.
std::vector<int> choose_layer_ids(const std::string& name,
                                  const std::vector<bool>& routed,
                                  const std::vector<int>& recorded,
                                  const ImportOptions& options);

// Drops layers and slots that nothing was recorded in, and says so in the notes.
ImportedTrace finish_rows(RecordedRows rows, const ImportOptions& options);

}  // namespace moesim
