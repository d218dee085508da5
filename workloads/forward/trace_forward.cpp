// Texts in, routing trace out: every chunk of text is one request of its domain.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "workloads/forward/forward.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

// A float in [0, 65504] to IEEE half bits, to nearest, ties to even.
std::uint16_t half_bits(float value) {
  constexpr float kSmallestNormal = 6.103515625e-5F;  // 2^-14
  if (value < kSmallestNormal)                        // subnormal halves are multiples of 2^-24
    return static_cast<std::uint16_t>(std::nearbyint(value * 16777216.0F));
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0xFFFU + ((bits >> 13) & 1U);
  return static_cast<std::uint16_t>((rounded >> 13) - (112U << 10));  // exponent bias 127 to 15
}

DomainText read_text(const fs::path& path) {
  DomainText text;
  text.domain = path.stem().string();
  for (const char byte : read_text_file(path.string()))
    text.tokens.push_back(static_cast<unsigned char>(byte));
  if (text.tokens.empty()) throw InputError(fmt::format("{}: the text is empty", path.string()));
  return text;
}

// The folder's own name, or its parent's where that is just "model".
std::string model_name(const std::string& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.filename() == "model") path = path.parent_path();
  return path.filename().string();
}

// Appends what one call decided about tokens first .. first + count of a request.
class ColumnWriter {
 public:
  ColumnWriter(TraceColumns& columns, std::int32_t request, std::uint8_t domain)
      : columns_(columns), request_(request), domain_(domain) {}

  void add(const ForwardOutput& output, std::int32_t position, std::int32_t step, Phase phase) {
    const auto top_k = static_cast<std::size_t>(columns_.header.top_k);
    const std::size_t tokens = output.routing.front().experts.size() / top_k;
    for (std::size_t token = 0; token < tokens; ++token) {
      columns_.request.push_back(request_);
      columns_.position.push_back(position + static_cast<std::int32_t>(token));
      columns_.step.push_back(step);
      columns_.domain.push_back(domain_);
      columns_.phase.push_back(static_cast<std::uint8_t>(phase));
      for (const LayerRouting& layer : output.routing)
        for (std::size_t i = token * top_k; i < (token + 1) * top_k; ++i) {
          columns_.experts.push_back(layer.experts[i]);
          columns_.weights.push_back(half_bits(layer.weights[i]));
        }
    }
  }

 private:
  TraceColumns& columns_;
  std::int32_t request_;
  std::uint8_t domain_;
};

void trace_chunk(const ForwardModel& model,
                 std::span<const std::int32_t> chunk,
                 const TraceRequest& request,
                 ColumnWriter writer) {
  const ForwardOptions options{.threads = request.threads};
  const auto cache = model.new_cache();
  // At least one token is prefilled: decoding needs something to go on from.
  const std::size_t decoded =
      std::min(static_cast<std::size_t>(request.decode_tokens), chunk.size() - 1);
  const std::size_t prefilled = chunk.size() - decoded;
  writer.add(model.run(chunk.first(prefilled), *cache, options), 0, 0, Phase::prefill);
  for (std::size_t i = 0; i < decoded; ++i)
    writer.add(model.run(chunk.subspan(prefilled + i, 1), *cache, options),
               static_cast<std::int32_t>(prefilled + i), static_cast<std::int32_t>(i + 1),
               Phase::decode);
}

void check_request(const TraceRequest& request) {
  if (request.chunk_tokens < 1)
    throw InputError(fmt::format("chunk_tokens is {}; it must be 1 or more", request.chunk_tokens));
  if (request.decode_tokens < 0 || request.decode_tokens >= request.chunk_tokens)
    throw InputError(fmt::format("decode_tokens is {}; it must be 0 to {} (chunk_tokens - 1)",
                                 request.decode_tokens, request.chunk_tokens - 1));
  if (request.tokens_per_domain < 0)
    throw InputError(fmt::format("tokens_per_domain is {}; it must be 0 (all) or more",
                                 request.tokens_per_domain));
}

}  // namespace

std::vector<DomainText> read_texts(const std::string& path, int vocabulary) {
  constexpr int kByteVocabulary = 256;
  if (vocabulary != kByteVocabulary)
    throw InputError(fmt::format(
        "{}: texts are read as bytes, which needs a model with a vocabulary of {}, not {}", path,
        kByteVocabulary, vocabulary));
  if (!fs::exists(path)) throw InputError(fmt::format("{}: no such file or folder", path));
  if (!fs::is_directory(path)) return {read_text(path)};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  if (files.empty()) throw InputError(fmt::format("{}: holds no <domain>.txt", path));
  std::sort(files.begin(), files.end());
  std::vector<DomainText> texts;
  texts.reserve(files.size());
  for (const fs::path& file : files) texts.push_back(read_text(file));
  return texts;
}

RoutingTrace trace_forward(const std::string& model_folder,
                           const std::vector<DomainText>& texts,
                           const TraceRequest& request) {
  check_request(request);
  const ForwardModel model(model_folder);
  TraceColumns columns;
  columns.header.model = model_name(model_folder);
  columns.header.experts = model.experts();
  columns.header.top_k = model.top_k();
  columns.header.layer_ids = model.moe_layer_ids();
  columns.header.origin = "forward";
  std::set<std::string> domains;
  for (const DomainText& text : texts) domains.insert(text.domain);
  if (domains.size() > std::numeric_limits<std::uint8_t>::max())
    throw InputError(fmt::format("{} domains; a trace holds at most 255", domains.size()));
  columns.header.domains.assign(domains.begin(), domains.end());
  std::int32_t requests = 0;
  for (const DomainText& text : texts) {
    const auto domain =
        static_cast<std::uint8_t>(std::distance(domains.begin(), domains.find(text.domain)));
    std::span<const std::int32_t> left(text.tokens);
    if (request.tokens_per_domain > 0)
      left = left.first(std::min(left.size(), static_cast<std::size_t>(request.tokens_per_domain)));
    while (!left.empty()) {
      const std::size_t size =
          std::min(left.size(), static_cast<std::size_t>(request.chunk_tokens));
      trace_chunk(model, left.first(size), request, {columns, requests++, domain});
      left = left.subspan(size);
    }
  }
  return make_trace(std::move(columns));
}

}  // namespace moesim
