// A routing trace made in memory, read by mapping a safetensors file, and written as one.
#include "sim/trace/routing_trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/core/error.h"
#include "sim/io/json_reader.h"
#include "sim/io/safetensors.h"
#include "sim/trace/trace_laws.h"

namespace moesim {
namespace {

template <class T>
TensorView view_of(const char* name,
                   Dtype dtype,
                   std::vector<std::int64_t> shape,
                   std::span<const T> column) {
  return {name, dtype, std::move(shape), std::as_bytes(column)};
}

// The tensors in file order: wide elements first, so that every column stays aligned.
std::vector<TensorView> tensors_of(const RoutingTrace& trace) {
  const auto tokens = static_cast<std::int64_t>(trace.tokens());
  const std::vector<std::int64_t> routed{tokens, static_cast<std::int64_t>(trace.moe_layers()),
                                         trace.header.top_k};
  std::vector<TensorView> tensors{view_of("request", Dtype::i32, {tokens}, trace.request),
                                  view_of("position", Dtype::i32, {tokens}, trace.position),
                                  view_of("step", Dtype::i32, {tokens}, trace.step)};
  if (!trace.source_rank.empty())
    tensors.push_back(view_of("source_rank", Dtype::i32, {tokens}, trace.source_rank));
  tensors.push_back(view_of("experts", Dtype::u16, routed, trace.experts));
  if (!trace.weights.empty())
    tensors.push_back(view_of("weights", Dtype::f16, routed, trace.weights));
  tensors.push_back(view_of("domain", Dtype::u8, {tokens}, trace.domain));
  tensors.push_back(view_of("phase", Dtype::u8, {tokens}, trace.phase));
  return tensors;
}

std::string data_hash(const RoutingTrace& trace) {
  Sha256 hash;
  for (const TensorView& tensor : tensors_of(trace)) hash.add(tensor.data);
  return hash.hex();
}

// The metadata of a trace file: every value is text.
class Metadata {
 public:
  explicit Metadata(const SafetensorsFile& file) : file_(file) {}

  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end())
      throw InputError(
          fmt::format("{}: __metadata__ lacks \"{}\": this is no routing trace, or "
                      "not a whole one",
                      file_.path(), key));
    return found->second;
  }

  template <class T>
  T number(const std::string& key) const {
    const std::string& value = text(key);
    T result{};
    const auto end = value.data() + value.size();
    const auto parsed = std::from_chars(value.data(), end, result);
    if (parsed.ec != std::errc{} || parsed.ptr != end)
      throw InputError(fmt::format("{}: __metadata__: {} is \"{}\", expected a whole number",
                                   file_.path(), key, value));
    return result;
  }

  std::vector<JsonNode> list(const std::string& key) const {
    return read_json_text(text(key), fmt::format("{} (__metadata__, {})", file_.path(), key))
        .items();
  }

 private:
  const SafetensorsFile& file_;
};

TraceHeader read_header(const SafetensorsFile& file) {
  const Metadata metadata(file);
  TraceHeader header;
  header.format_version = metadata.number<int>("format_version");
  header.model = metadata.text("model");
  header.experts = metadata.number<int>("experts");
  header.top_k = metadata.number<int>("top_k");
  for (const JsonNode& id : metadata.list("layer_ids"))
    header.layer_ids.push_back(static_cast<int>(id.as_int(0, 1 << 20)));
  header.origin = metadata.text("origin");
  header.seed = metadata.number<std::uint64_t>("seed");
  for (const JsonNode& name : metadata.list("domains")) header.domains.push_back(name.as_string());
  header.data_sha256 = metadata.text("data_sha256");
  if (file.metadata().count("notes") != 0)
    for (const JsonNode& note : metadata.list("notes")) header.notes.push_back(note.as_string());
  check_header(header, file.path());
  const std::string& digest = header.data_sha256;
  if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw InputError(fmt::format(
        "{}: __metadata__: data_sha256 is \"{}\", expected 64 lower-case hexadecimal digits",
        file.path(), digest));
  return header;
}

template <class T>
std::span<const T> column(const SafetensorsFile& file,
                          const std::string& name,
                          Dtype dtype,
                          const std::vector<std::int64_t>& shape) {
  const TensorView* tensor = file.find(name);
  if (tensor == nullptr)
    throw InputError(fmt::format("{}: tensor {} is missing", file.path(), name));
  if (tensor->dtype != dtype)
    throw InputError(fmt::format("{}: tensor {} holds {}, expected {}", file.path(), name,
                                 to_text(tensor->dtype), to_text(dtype)));
  if (tensor->shape != shape)
    throw InputError(fmt::format("{}: tensor {} has shape {}, the header implies {}", file.path(),
                                 name, tensor->shape, shape));
  if (reinterpret_cast<std::uintptr_t>(tensor->data.data()) % sizeof(T) != 0)
    throw InputError(
        fmt::format("{}: tensor {} begins at a byte that is no multiple of {}; write "
                    "wide elements first",
                    file.path(), name, sizeof(T)));
  return {reinterpret_cast<const T*>(tensor->data.data()), tensor->data.size() / sizeof(T)};
}

std::int64_t token_count(const SafetensorsFile& file) {
  const TensorView* request = file.find("request");
  if (request == nullptr)
    throw InputError(file.path() + ": tensor request is missing: this is no routing trace");
  if (request->shape.size() != 1 || request->shape[0] == 0)
    throw InputError(fmt::format("{}: tensor request has shape {}, expected [tokens], at least one",
                                 file.path(), request->shape));
  return request->shape[0];
}

void refuse_unknown_tensors(const SafetensorsFile& file) {
  static const std::vector<std::string> known{"experts", "weights",     "request", "position",
                                              "step",    "source_rank", "domain",  "phase"};
  for (const auto& entry : file.tensors())
    if (std::find(known.begin(), known.end(), entry.first) == known.end())
      throw InputError(fmt::format("{}: unknown tensor \"{}\"{}", file.path(), entry.first,
                                   name_help(entry.first, known)));
}

void check_lengths(const TraceColumns& columns) {
  const std::size_t tokens = columns.request.size();
  if (tokens == 0) throw InputError("trace: it holds no tokens");
  const std::size_t routed =
      tokens * columns.header.layer_ids.size() * static_cast<std::size_t>(columns.header.top_k);
  const auto check = [](const char* name, std::size_t size, std::size_t expected, bool optional) {
    if (size != expected && !(optional && size == 0))
      throw InputError(
          fmt::format("trace: column {} has {} values, expected {}", name, size, expected));
  };
  check("experts", columns.experts.size(), routed, false);
  check("weights", columns.weights.size(), routed, true);
  check("position", columns.position.size(), tokens, false);
  check("step", columns.step.size(), tokens, false);
  check("source_rank", columns.source_rank.size(), tokens, true);
  check("domain", columns.domain.size(), tokens, false);
  check("phase", columns.phase.size(), tokens, false);
}

// Names that are not UTF-8 get the replacement character: a trace must stay readable.
std::string as_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

RoutingTrace make_trace(TraceColumns columns) {
  check_header(columns.header, "trace");
  check_lengths(columns);
  const auto owned = std::make_shared<const TraceColumns>(std::move(columns));
  RoutingTrace trace{owned->header,   owned->experts, owned->weights,     owned->request,
                     owned->position, owned->step,    owned->source_rank, owned->domain,
                     owned->phase,    owned};
  check_labels(trace, TraceSourceName{});
  check_routing(trace, TraceSourceName{});
  trace.header.data_sha256 = data_hash(trace);
  return trace;
}

RoutingTrace open_trace(const std::string& path, bool verify) {
  return open_trace(path, verify ? TraceCheck::all : TraceCheck::labels);
}

RoutingTrace open_trace(const std::string& path, TraceCheck check) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  refuse_unknown_tensors(*file);
  const std::int64_t tokens = token_count(*file);
  RoutingTrace trace;
  trace.header = read_header(*file);
  const std::vector<std::int64_t> routed{tokens, static_cast<std::int64_t>(trace.moe_layers()),
                                         trace.header.top_k};
  trace.experts = column<std::uint16_t>(*file, "experts", Dtype::u16, routed);
  if (file->find("weights") != nullptr)
    trace.weights = column<std::uint16_t>(*file, "weights", Dtype::f16, routed);
  trace.request = column<std::int32_t>(*file, "request", Dtype::i32, {tokens});
  trace.position = column<std::int32_t>(*file, "position", Dtype::i32, {tokens});
  trace.step = column<std::int32_t>(*file, "step", Dtype::i32, {tokens});
  if (file->find("source_rank") != nullptr)
    trace.source_rank = column<std::int32_t>(*file, "source_rank", Dtype::i32, {tokens});
  trace.domain = column<std::uint8_t>(*file, "domain", Dtype::u8, {tokens});
  trace.phase = column<std::uint8_t>(*file, "phase", Dtype::u8, {tokens});
  trace.owner = file;
  if (check == TraceCheck::header) return trace;
  const std::size_t data_start = std::filesystem::file_size(path) - file->data().size();
  const TraceSourceName source{path, file->data().data() - data_start};
  check_labels(trace, source);
  if (check == TraceCheck::labels) return trace;
  check_routing(trace, source);
  Sha256 hash;
  hash.add(file->data());
  const std::string found = hash.hex();
  if (found != trace.header.data_sha256)
    throw InputError(fmt::format(
        "{}: the tensor data hashes to SHA-256 {}, but __metadata__ says {}: the file was changed",
        path, found, trace.header.data_sha256));
  return trace;
}

std::map<std::string, std::string> trace_metadata(const TraceHeader& header) {
  std::map<std::string, std::string> metadata{
      {"format_version", std::to_string(header.format_version)},
      {"model", header.model},
      {"experts", std::to_string(header.experts)},
      {"top_k", std::to_string(header.top_k)},
      {"layer_ids", as_text(header.layer_ids)},
      {"origin", header.origin},
      {"seed", std::to_string(header.seed)},
      {"domains", as_text(header.domains)},
      {"data_sha256", header.data_sha256}};
  if (!header.notes.empty()) metadata["notes"] = as_text(header.notes);
  return metadata;
}

void write_trace(const std::string& path, const RoutingTrace& trace) {
  TraceHeader header = trace.header;
  header.data_sha256 = data_hash(trace);
  write_safetensors(path, tensors_of(trace), trace_metadata(header));
}

}  // namespace moesim
