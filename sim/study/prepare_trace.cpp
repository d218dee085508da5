// Traces by forward pass or by the synthesizer, kept under the hash of all they depend on.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "sim/io/files.h"
#include "sim/study/study.h"
#include "workloads/forward/model_path.h"
#include "workloads/forward/trace_forward.h"
#include "workloads/traces/synth.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kHashedWhole = 256ULL << 20U;

// Small files count by content; of a checkpoint too large to read on every run, size and time of
// change do.
void add_file(Sha256& hash, const fs::path& path) {
  hash.add(path.filename().string());
  if (fs::file_size(path) <= kHashedWhole) {
    hash.add(MappedFile(path.string()).bytes());
    return;
  }
  hash.add(fmt::format("{} {}", fs::file_size(path),
                       fs::last_write_time(path).time_since_epoch().count()));
}

void add_path(Sha256& hash, const std::string& path) {
  if (!fs::is_directory(path)) {
    add_file(hash, path);
    return;
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) add_file(hash, file);
}

std::string draw_trace(const SyntheticSource& source,
                       const std::string& folder,
                       const RunOptions& options) {
  const SynthProfile profile = load_profile(source.profile);
  SynthRequest request;
  request.tokens = source.tokens;
  for (const SyntheticSource::Mix& mix : source.mixes)
    request.mixes.push_back({mix.at, mix.shares});
  request.prompt_tokens = source.prompt_tokens;
  request.answer_tokens = source.answer_tokens;
  request.experts = source.experts;
  request.top_k = source.top_k;
  request.moe_layers = static_cast<int>(source.layer_ids.size());
  request.groups = source.groups;
  request.kept_groups = source.kept_groups;
  request.layer_ids = source.layer_ids;
  request.model = source.model;
  request.seed = source.seed;
  Sha256 hash;
  hash.add(profile_json(profile));
  hash.add(fmt::format("{} {} {} {} {} {} {} {} {} {} {}", request.tokens, request.prompt_tokens,
                       request.answer_tokens, request.experts, request.top_k, request.groups,
                       request.kept_groups, request.seed, request.model,
                       fmt::join(request.layer_ids, ","), MOESIM_VERSION));
  for (const DomainMix& mix : request.mixes) {
    hash.add(fmt::format(" {}", mix.at));
    for (const auto& [domain, share] : mix.shares) hash.add(fmt::format(" {}={}", domain, share));
  }
  std::string path = folder + "/" + hash.hex().substr(0, 16) + ".safetensors";
  if (fs::exists(path)) return path;
  options.say("drawing a trace like " + profile.name);
  make_folder(folder);
  write_trace(path, synthesize(profile, request));
  return path;
}

TraceRequest request_of(const TraceSource& source) {
  TraceRequest request;
  request.tokens_per_domain = source.tokens_per_domain;
  request.chunk_tokens = source.chunk_tokens;
  request.prefill_chunk_tokens = source.prefill_chunk_tokens;
  request.batch = source.batch;
  request.decode_tokens = source.decode_tokens;
  request.generate_tokens = source.generate_tokens;
  request.sampling.greedy = source.temperature == 0;
  if (!request.sampling.greedy) request.sampling.temperature = source.temperature;
  request.sampling.seed = source.sampling_seed;
  return request;
}

void run_forward(const TraceSource& source, const std::string& path) {
  const TraceRequest request = request_of(source);
  const ForwardModel model(source.forward_model, load_options(request));
  const std::unique_ptr<Tokenizer> tokenizer = find_tokenizer(source.forward_model);
  TokenReading reading;
  reading.vocabulary = model.vocabulary();
  reading.tokenizer = tokenizer.get();
  const std::vector<DomainRequests> texts = read_token_texts(source.forward_texts, reading);
  write_trace(path, trace_forward(model, model_label(source.forward_model), texts, request).trace);
}

}  // namespace

std::string prepare_trace(const TraceSource& source,
                          const std::string& folder,
                          const RunOptions& options) {
  if (!source.file.empty()) return source.file;
  if (!source.synthetic.profile.empty()) return draw_trace(source.synthetic, folder, options);
  Sha256 hash;
  add_path(hash, source.forward_model);
  add_path(hash, source.forward_texts);
  hash.add(fmt::format("{} {} {} {} {} {} {} {} {}", source.tokens_per_domain, source.chunk_tokens,
                       source.prefill_chunk_tokens, source.batch, source.decode_tokens,
                       source.generate_tokens, source.temperature, source.sampling_seed,
                       MOESIM_VERSION));
  std::string path = folder + "/" + hash.hex().substr(0, 16) + ".safetensors";
  if (fs::exists(path)) return path;
  options.say("forward pass over " + source.forward_texts);
  make_folder(folder);
  run_forward(source, path);
  return path;
}

}  // namespace moesim
