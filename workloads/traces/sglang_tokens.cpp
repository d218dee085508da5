// SGLang's per_token records: one row a token, with its position and phase; requests are linked by
// position, because the recorder keeps no request ids.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "workloads/traces/recorded_rows.h"
#include "workloads/traces/request_links.h"
#include "workloads/traces/sglang_dump.h"

namespace moesim {
namespace {

// sglang.srt.model_executor.forward_batch_info.ForwardMode
constexpr std::int64_t kDecode = 2, kMixed = 3, kIdle = 4, kTargetVerify = 5, kMostMode = 64;

// A record's values, checked against each other.
struct Pass {
  std::int64_t mode = 0;
  std::vector<std::int64_t> input_ids, positions;
  std::optional<std::vector<std::int64_t>> extend_lengths;
  std::vector<std::int64_t> shape;  // [layers, tokens, slots]
  std::vector<std::int64_t> physical;
  friend bool operator==(const Pass&, const Pass&) = default;
};

Pass read_pass(const TorchValue& record, const SglangMap& map) {
  Pass pass;
  pass.mode = record.at("forward_mode").as_integer(0, kMostMode);
  pass.input_ids = record.at("input_ids").as_integers();
  pass.positions = record.at("positions").as_integers();
  const TorchValue lengths = record.at("extend_seq_lens");
  if (!lengths.is_none()) pass.extend_lengths = lengths.as_integers();
  const TorchValue ids = record.at("topk_ids_of_layer");
  pass.shape = ids.as_tensor().shape;
  if (pass.shape.size() != 3)
    ids.fail(fmt::format("has {} dimensions, expected [layers, tokens, top_k]", pass.shape.size()));
  if (pass.shape[0] != static_cast<std::int64_t>(map.layers))
    ids.fail(fmt::format("has {} layers, the map has {}", pass.shape[0], map.layers));
  const auto tokens = static_cast<std::int64_t>(pass.input_ids.size());
  if (pass.shape[1] != tokens)
    ids.fail(fmt::format("has {} tokens, but input_ids {}", pass.shape[1], tokens));
  const TorchValue positions = record.at("positions");
  if (pass.positions.size() != pass.input_ids.size())
    positions.fail(fmt::format("has {} values, but input_ids {}", pass.positions.size(), tokens));
  constexpr std::int64_t kMostPosition = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < pass.positions.size(); ++i)
    if (pass.positions[i] < 0 || pass.positions[i] > kMostPosition)
      positions.item(i).as_integer(0, kMostPosition);  // throws with the place
  pass.physical = ids.tensor_integers();
  return pass;
}

class TokenReader {
 public:
  TokenReader(const SglangRecords& records, const ImportOptions& options)
      : records_(records), options_(options) {
    rows_.name = records.name;
    rows_.layers = records.maps.front().layers;
    rows_.experts = known_experts(records.name, records.maps.front().experts, options);
  }

  ImportedTrace read() {
    std::size_t i = 0;
    for (std::int32_t step = 0; i < records_.records.size(); ++step) {
      const std::int64_t id = records_.records[i].forward_pass;
      std::vector<Pass> of_step;  // to find ranks that recorded the same tokens
      for (; i < records_.records.size() && records_.records[i].forward_pass == id; ++i)
        add_record(records_.records[i], step, of_step);
    }
    if (rows_.slots == 0) throw InputError(rows_.name + ": it holds no tokens");
    ImportedTrace imported = finish_rows(std::move(rows_), options_);
    add_notes(imported.notes);
    return imported;
  }

 private:
  void add_record(const SglangRecord& record, std::int32_t step, std::vector<Pass>& of_step) {
    const SglangMap& map = records_.maps[record.file];
    Pass pass = read_pass(record.value, map);
    if (pass.mode == kIdle || pass.input_ids.empty()) return;
    if (std::find(of_step.begin(), of_step.end(), pass) != of_step.end()) {
      ++copies_;
      return;
    }
    const auto slots = static_cast<std::size_t>(pass.shape[2]);
    if (rows_.slots == 0) rows_.slots = slots;
    if (slots != rows_.slots || slots == 0)
      record.value.at("topk_ids_of_layer")
          .fail(fmt::format("has {} slots a token, others {}", slots, rows_.slots));
    add_segments(record, step, pass, map);
    of_step.push_back(std::move(pass));
  }

  // What all tokens of one record share.
  struct Context {
    const SglangRecord& record;
    const Pass& pass;
    const SglangMap& map;
    RequestLinks& links;
    std::int32_t step;
    bool decodes;
  };

  // The pass's tokens by request: prefill chunks as extend_seq_lens cuts them, decode one by one.
  void add_segments(const SglangRecord& record,
                    std::int32_t step,
                    const Pass& pass,
                    const SglangMap& map) {
    const bool decodes = pass.mode == kDecode || pass.mode == kTargetVerify || !pass.extend_lengths;
    verifies_ = verifies_ || pass.mode == kTargetVerify;
    const std::size_t tokens = pass.input_ids.size();
    std::vector<std::int64_t> lengths(tokens, 1);
    if (!decodes) lengths = *pass.extend_lengths;
    RequestLinks& links = links_.try_emplace(record.rank, next_request_).first->second;
    const Context context{record, pass, map, links, step, decodes};
    links.begin_pass(!decodes);
    std::size_t token = 0;
    for (const std::int64_t length : lengths) {
      if (length < 0 || static_cast<std::size_t>(length) > tokens - token)
        record.value.at("extend_seq_lens")
            .fail(fmt::format("adds up to more than the {} tokens", tokens));
      const auto count = static_cast<std::size_t>(length);
      if (count > 0 && !(count == 1 && is_padding(pass, token))) add_segment(context, token, count);
      token += count;
    }
    padding_ += tokens - token;
    links.end_pass(pass.mode == kDecode);
  }

  // Data-parallel batches are padded to one size; padding is routed nowhere.
  bool is_padding(const Pass& pass, std::size_t token) {
    const auto tokens = static_cast<std::size_t>(pass.shape[1]);
    for (std::size_t layer = 0; layer < rows_.layers; ++layer) {
      const auto choice =
          std::span(pass.physical).subspan((layer * tokens + token) * rows_.slots, rows_.slots);
      if (std::any_of(choice.begin(), choice.end(), [](std::int64_t id) { return id >= 0; }))
        return false;
    }
    ++padding_;
    return true;
  }

  void add_segment(const Context& context, std::size_t token, std::size_t count) {
    const Pass& pass = context.pass;
    const std::int64_t position = pass.positions[token];
    std::int32_t request = -1;
    // In a mixed batch the decode tokens stand among the chunks, as chunks of one.
    if (context.decodes || (pass.mode == kMixed && count == 1))
      request = context.links.decode(position);
    const bool in_decode = context.decodes || request >= 0;
    if (request < 0)
      request = context.decodes ? context.links.decode_new(position)
                                : context.links.extend(position, static_cast<std::int64_t>(count));
    const Phase phase = in_decode ? Phase::decode : Phase::prefill;
    for (std::size_t i = token; i < token + count; ++i) {
      rows_.request.push_back(request);
      rows_.position.push_back(static_cast<std::int32_t>(pass.positions[i]));
      rows_.step.push_back(context.step);
      rows_.source_rank.push_back(context.record.rank);
      rows_.phase.push_back(static_cast<std::uint8_t>(phase));
      add_experts(context, i);
    }
  }

  void add_experts(const Context& context, std::size_t token) {
    const SglangMap& map = context.map;
    const auto tokens = static_cast<std::size_t>(context.pass.shape[1]);
    for (std::size_t layer = 0; layer < rows_.layers; ++layer) {
      for (std::size_t slot = 0; slot < rows_.slots; ++slot) {
        const std::int64_t id =
            context.pass.physical[(layer * tokens + token) * rows_.slots + slot];
        if (id >= static_cast<std::int64_t>(map.physical))
          context.record.value.at("topk_ids_of_layer")
              .fail(
                  fmt::format("layer {}, token {}, slot {}: physical expert {}, allowed: 0 to {}, "
                              "or -1 for not routed (record without shared-expert fusion)",
                              layer, token, slot, id, map.physical - 1));
        rows_.experts_of.push_back(
            id < 0 ? kNotRouted
                   : static_cast<std::uint16_t>(
                         map.logical[layer * map.physical + static_cast<std::size_t>(id)]));
      }
    }
  }

  void add_notes(std::vector<std::string>& notes) const {
    if (copies_ > 0)
      notes.push_back(fmt::format(
          "{} records are left out: another rank recorded the same tokens (tensor parallelism)",
          copies_));
    if (padding_ > 0) notes.push_back(fmt::format("{} padding tokens are left out", padding_));
    if (verifies_)
      notes.emplace_back("speculative decoding: drafted tokens are included, accepted or not");
    notes.emplace_back(
        "the recorder keeps no request ids: requests are linked by position and batch order");
    notes.emplace_back(
        "the recorder keeps no router weights, and the expert map is the last one of the "
        "recording");
  }

  const SglangRecords& records_;
  const ImportOptions& options_;
  RecordedRows rows_;
  std::map<std::int32_t, RequestLinks> links_;  // by rank
  std::int32_t next_request_ = 0;
  std::size_t copies_ = 0, padding_ = 0;
  bool verifies_ = false;
};

}  // namespace

ImportedTrace read_sglang_tokens(const SglangRecords& records, const ImportOptions& options) {
  return TokenReader(records, options).read();
}

}  // namespace moesim
