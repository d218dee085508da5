// vllm_routed_experts: the arrays vLLM returns under --enable-return-routed-experts, saved with
// numpy.save (one request a file) or numpy.savez (a member a request): integers [tokens, layers,
// top_k], row t = where token t of the sequence went.
// Looked up in November 2026: vLLM v0.21.0, docs/training/routed_experts_replay.md (commit
// 0087e005: int16, -1 where a prefix was cached; prompt_routed_experts and routed_experts apart),
// and main at 41c5903d, examples/rl/routed_experts_e2e.py (one array of prompt + generated - 1
// rows). At 00bd1493, before v0.21, the array is int32 over all layers, dense ones left at zero.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "sim/io/npy.h"
#include "sim/io/zip.h"
#include "workloads/traces/recorded_rows.h"

namespace moesim {
namespace {

constexpr std::string_view kNpyMagic("\x93NUMPY", 6);
constexpr std::string_view kSuffix = ".npy";
constexpr std::string_view kPrompt = "prompt_routed_experts", kGenerated = "routed_experts";

// One array, and whose it is: parts of one request share `request`.
struct Part {
  std::string name;
  std::string request;
  bool prompt = false;
  NpyArray array;
};

// "a.prompt_routed_experts" -> ("a.", prompt); any other name is a request of its own.
Part named_part(const std::string& name, const std::string& stem, NpyArray array) {
  Part part{name, stem, false, std::move(array)};
  if (stem.ends_with(kPrompt)) {
    part.prompt = true;
    part.request = stem.substr(0, stem.size() - kPrompt.size());
  } else if (stem.ends_with(kGenerated)) {
    part.request = stem.substr(0, stem.size() - kGenerated.size());
  }
  return part;
}

std::string stem_of(const std::string& path) {
  return path.ends_with(kSuffix) ? path.substr(0, path.size() - kSuffix.size()) : path;
}

bool is_npy(const ImportFile& file) { return file.text().starts_with(kNpyMagic); }

// The arrays of all files; `kept` holds the bytes of unpacked members.
std::vector<Part> read_parts(std::span<const ImportFile> files,
                             std::vector<std::vector<std::byte>>& kept) {
  std::vector<Part> parts;
  for (const ImportFile& file : files) {
    if (!looks_like_zip(file.bytes)) {
      parts.push_back(named_part(file.name, stem_of(file.name), read_npy(file.bytes, file.name)));
      continue;
    }
    const ZipArchive archive(file.bytes, file.name);
    kept.reserve(kept.size() + archive.members().size());
    for (const ZipMember& member : archive.members()) {
      const std::string name = file.name + " (" + member.name + ")";
      if (!member.name.ends_with(kSuffix))
        throw InputError(name + ": a member that is no .npy array");
      kept.push_back(archive.read(member));
      const std::string stem = file.name + "/" + stem_of(member.name);
      parts.push_back(named_part(name, stem, read_npy(kept.back(), name)));
    }
  }
  return parts;
}

void check_shapes(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    const std::vector<std::int64_t>& shape = part.array.shape;
    if (!is_npy_integer(part.array.type))
      throw InputError(fmt::format("{}: the elements are {}, expected whole numbers (expert ids)",
                                   part.name, to_text(part.array.type)));
    if (shape.size() != 3)
      throw InputError(fmt::format("{}: {} dimensions, expected 3: [tokens, layers, top_k]",
                                   part.name, shape.size()));
    const std::vector<std::int64_t>& first = parts.front().array.shape;
    if (shape[1] != first[1] || shape[2] != first[2])
      throw InputError(fmt::format(
          "{}: [tokens, {}, {}], but {} is [tokens, {}, {}]: files of one import are of one model",
          part.name, shape[1], shape[2], parts.front().name, first[1], first[2]));
    if (shape[1] == 0 || shape[2] == 0)
      throw InputError(
          fmt::format("{}: [{}, {}, {}] holds no choice", part.name, shape[0], shape[1], shape[2]));
  }
}

// Appends one array's rows to the request; returns how many (token, layer) pairs hold only zeros,
// which with two slots or more no router writes: that layer was not captured.
std::size_t append_part(const Part& part, RecordedRows& rows) {
  const std::vector<std::int64_t> ids = npy_integers(part.array, part.name);
  std::size_t uncaptured = 0;
  for (std::size_t at = 0; at < ids.size(); at += rows.slots) {
    const auto choice = std::span(ids).subspan(at, rows.slots);
    const bool zeros = rows.slots > 1 && std::all_of(choice.begin(), choice.end(),
                                                     [](std::int64_t id) { return id == 0; });
    uncaptured += zeros ? 1 : 0;
    for (std::size_t slot = 0; slot < rows.slots; ++slot) {
      std::uint16_t expert = kNotRouted;
      if (!zeros && !recorded_expert(choice[slot], rows.experts, expert))
        throw InputError(fmt::format("{}: element [{}][{}][{}]: expert {}, {}", part.name,
                                     at / rows.slots / rows.layers, at / rows.slots % rows.layers,
                                     slot, choice[slot], allowed_experts(rows.experts)));
      rows.experts_of.push_back(expert);
    }
  }
  return uncaptured;
}

// Request, position, step and phase of one array's rows; a prompt is one step, each later token
// its own.
void label_part(const Part& part,
                std::int32_t request,
                std::int64_t prompt_rows,
                std::int32_t& position,
                RecordedRows& rows) {
  for (std::int64_t row = 0; row < part.array.shape[0]; ++row, ++position) {
    const bool prompt = part.prompt || row < prompt_rows;
    const std::int32_t last = rows.step.empty() || position == 0 ? 0 : rows.step.back();
    rows.request.push_back(request);
    rows.position.push_back(position);
    rows.step.push_back(prompt ? 0 : last + 1);
    rows.phase.push_back(static_cast<std::uint8_t>(prompt ? Phase::prefill : Phase::decode));
  }
}

// What a whole import finds out beside the rows.
struct Found {
  std::size_t uncaptured = 0;  // (token, layer) pairs
  bool whole = false;          // an array of prompt and generated tokens together
};

// Appends the parts of request number `request`, the prompt's first.
void append_request(std::vector<const Part*> parts,
                    std::int32_t request,
                    std::int64_t prompt_tokens,
                    RecordedRows& rows,
                    Found& found) {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part* a, const Part* b) { return a->prompt > b->prompt; });
  const bool split = parts.front()->prompt;
  found.whole = found.whole || !split;
  std::int64_t prompt_rows = 0;
  if (!split) prompt_rows = prompt_tokens > 0 ? prompt_tokens : parts.front()->array.shape[0];
  std::int32_t position = 0;
  for (const Part* part : parts) {
    found.uncaptured += append_part(*part, rows);
    label_part(*part, request, prompt_rows, position, rows);
  }
}

void add_notes(const Found& found, bool prompt_known, std::vector<std::string>& notes) {
  if (found.whole && !prompt_known)
    notes.emplace_back(
        "where the prompt ends is not recorded: all rows are marked prefill (--prompt-tokens N "
        "marks those from N on as decode)");
  if (found.uncaptured > 0)
    notes.push_back(fmt::format(
        "{} (token, layer) pairs hold only zeros: not captured, so not routed", found.uncaptured));
  notes.emplace_back("router weights and the batches that ran together are not recorded");
}

ImportedTrace read_vllm(std::span<const ImportFile> files, const ImportOptions& options) {
  std::vector<std::vector<std::byte>> kept;
  const std::vector<Part> parts = read_parts(files, kept);
  if (parts.empty()) throw InputError(files.front().name + ": it holds no array");
  check_shapes(parts);
  RecordedRows rows;
  rows.name = files.front().name;
  rows.layers = static_cast<std::size_t>(parts.front().array.shape[1]);
  rows.slots = static_cast<std::size_t>(parts.front().array.shape[2]);
  rows.experts = known_experts(rows.name, 0, options);

  std::map<std::string, std::vector<const Part*>> by_request;
  std::vector<std::string> order;  // of first appearance
  for (const Part& part : parts) {
    if (by_request[part.request].empty()) order.push_back(part.request);
    by_request[part.request].push_back(&part);
  }
  Found found;
  for (std::size_t i = 0; i < order.size(); ++i)
    append_request(by_request[order[i]], static_cast<std::int32_t>(i), options.prompt_tokens, rows,
                   found);
  ImportedTrace imported = finish_rows(std::move(rows), options);
  add_notes(found, options.prompt_tokens > 0, imported.notes);
  return imported;
}

bool probe_vllm(const ImportFile& file) {
  if (is_npy(file)) return true;
  constexpr std::size_t kNameAt = 30;  // of a zip's first local header; its length is at 26
  if (!looks_like_zip(file.bytes) || file.bytes.size() < kNameAt) return false;
  const std::size_t length = std::to_integer<std::size_t>(file.bytes[26]) |
                             std::to_integer<std::size_t>(file.bytes[27]) << 8U;
  return file.text().substr(kNameAt, length).ends_with(kSuffix);
}

const Registered<TraceImporter> registered{
    "vllm_routed_experts",
    "vLLM's returned routed experts: .npy or .npz, integers [tokens, layers, top_k]",
    {probe_vllm, read_vllm}};

}  // namespace
}  // namespace moesim
