// megatron_routing_jsonl: the router_trace_rank<N>.jsonl files of Megatron-LM's
// --moe-routing-trace-path, one object a line and (step, block, layer): {"step", "stage", "block",
// "layer", "rank", "num_tokens", "topk", "top_indices": [[...], ...]}, "mtp_idx" where block is
// "mtp"; names of side files (hs_*, logit_*) are passed over.
// Looked up in November 2026: NVIDIA/Megatron-LM, megatron/core/transformer/moe/router_trace.py at
// 059f0f5c; its first form, without stage and block, is read as well.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "workloads/traces/megatron_record.h"
#include "workloads/traces/recorded_rows.h"

namespace moesim {
namespace {

// One forward pass of a rank: the n-th time that a step's layers were recorded (micro-batches).
struct Forward {
  std::size_t tokens = 0;
  std::map<int, std::vector<std::uint16_t>> layers;  // [token][slot]
};
using ForwardKey = std::tuple<std::int64_t, int, std::int32_t>;  // step, n, rank

class TraceReader {
 public:
  TraceReader(std::string name, const ImportOptions& options) : options_(options) {
    rows_.name = std::move(name);
    rows_.experts = known_experts(rows_.name, 0, options);
  }

  void read_file(const ImportFile& file) {
    std::string_view rest = file.text();
    for (int line = 1; !rest.empty(); ++line) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view text = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const Location where{file.name, line, 0, ""};
      add_record(read_megatron_record(text, where, rows_.experts), where);
    }
  }

  ImportedTrace finish() {
    if (forwards_.empty()) throw InputError(rows_.name + ": it holds no record of a decoder layer");
    const std::set<int> layers = all_layers();
    const std::size_t copies = drop_copies();
    std::size_t partial = 0;
    std::int32_t pass = -1;
    std::pair<std::int64_t, int> last{-1, -1};
    for (auto& [key, forward] : forwards_) {
      if (forward.layers.size() != layers.size()) {
        ++partial;
        continue;
      }
      const std::pair<std::int64_t, int> now{std::get<0>(key), std::get<1>(key)};
      if (pass < 0 || now != last) ++pass;
      last = now;
      add_rows(forward, pass, std::get<2>(key));
    }
    if (rows_.request.empty())
      throw InputError(fmt::format(
          "{}: no forward pass holds all of layers {}; ranks of pipeline stages hold different "
          "layers: import those of one stage at a time",
          rows_.name, fmt::join(layers, ", ")));
    rows_.layers = layers.size();
    rows_.layer_ids.assign(layers.begin(), layers.end());
    ImportedTrace imported = finish_rows(std::move(rows_), options_);
    add_notes(imported.notes, copies, partial);
    return imported;
  }

 private:
  void add_record(MegatronRecord record, const Location& where) {
    if (record.block != "decoder") {
      ++mtp_;
      return;
    }
    if (rows_.slots == 0) rows_.slots = record.top_k;
    if (record.top_k != rows_.slots)
      throw InputError(where,
                       fmt::format("topk is {}, before it was {}", record.top_k, rows_.slots));
    const int number = seen_[{record.rank, record.step, record.layer}]++;
    Forward& forward = forwards_[{record.step, number, record.rank}];
    if (forward.layers.empty()) forward.tokens = record.tokens;
    if (forward.tokens != record.tokens)
      throw InputError(where, fmt::format("num_tokens is {}, but {} in another layer of this step",
                                          record.tokens, forward.tokens));
    forward.layers[record.layer] = std::move(record.experts);
  }

  std::set<int> all_layers() const {
    std::set<int> layers;
    for (const auto& [key, forward] : forwards_)
      for (const auto& [layer, experts] : forward.layers) layers.insert(layer);
    return layers;
  }

  // Ranks of a tensor-parallel group may record the same tokens: one of them counts.
  std::size_t drop_copies() {
    std::size_t copies = 0;
    for (auto at = forwards_.begin(); at != forwards_.end();) {
      auto other = forwards_.lower_bound({std::get<0>(at->first), std::get<1>(at->first), 0});
      while (other != at && other->second.layers != at->second.layers) ++other;
      copies += other == at ? 0 : 1;
      at = other == at ? std::next(at) : forwards_.erase(at);
    }
    return copies;
  }

  void add_rows(const Forward& forward, std::int32_t pass, std::int32_t rank) {
    for (std::size_t token = 0; token < forward.tokens; ++token) {
      rows_.request.push_back(next_request_);
      rows_.position.push_back(static_cast<std::int32_t>(token));
      rows_.step.push_back(pass);
      rows_.source_rank.push_back(rank);
      rows_.phase.push_back(static_cast<std::uint8_t>(Phase::prefill));
      for (const auto& [layer, experts] : forward.layers) {
        const auto from = experts.begin() + static_cast<std::ptrdiff_t>(token * rows_.slots);
        rows_.experts_of.insert(rows_.experts_of.end(), from,
                                from + static_cast<std::ptrdiff_t>(rows_.slots));
      }
    }
    ++next_request_;
  }

  void add_notes(std::vector<std::string>& notes, std::size_t copies, std::size_t partial) const {
    if (mtp_ > 0) notes.push_back(fmt::format("{} records of MTP blocks are left out", mtp_));
    if (copies > 0)
      notes.push_back(fmt::format(
          "{} forward passes are left out: another rank recorded the same tokens", copies));
    if (partial > 0)
      notes.push_back(fmt::format("{} forward passes are left out: layers are missing", partial));
    notes.emplace_back(
        "requests, positions and phases are not recorded: each forward pass of a rank is one "
        "request in prefill, its rows in the order recorded");
    notes.emplace_back("router weights are not recorded");
  }

  const ImportOptions& options_;
  RecordedRows rows_;
  std::map<std::tuple<std::int32_t, std::int64_t, int>, int> seen_;  // times recorded so far
  std::map<ForwardKey, Forward> forwards_;
  std::int32_t next_request_ = 0;
  std::size_t mtp_ = 0;
};

ImportedTrace read_megatron(std::span<const ImportFile> files, const ImportOptions& options) {
  TraceReader reader(files.front().name, options);
  for (const ImportFile& file : files) reader.read_file(file);
  return reader.finish();
}

bool probe_megatron(const ImportFile& file) {
  const std::string_view text = file.text().substr(0, std::size_t{1} << 16U);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && text[begin] == '{' &&
         text.find("\"top_indices\"") != std::string_view::npos;
}

const Registered<TraceImporter> registered{
    "megatron_routing_jsonl",
    "router_trace_rank<N>.jsonl of Megatron-LM's --moe-routing-trace-path",
    {probe_megatron, read_megatron}};

}  // namespace
}  // namespace moesim
