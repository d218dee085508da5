// ForwardModel: loading by architecture, and what callers see of a pass.
#include "workloads/forward/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <stdexcept>

#include "sim/io/python_json.h"
#include "workloads/forward/architecture.h"
#include "workloads/forward/forward_pass.h"
#include "workloads/forward/quantization.h"

namespace moesim {
namespace {

struct Loaded {
  std::unique_ptr<Checkpoint> weights;  // what the decoder's weights point into
  Decoder decoder;
};

Loaded load_decoder(const std::string& path, const LoadOptions& options) {
  const bool is_file = std::filesystem::is_regular_file(path);
  if (is_file && !options.random_seed)
    throw InputError(path + ": is a file; a folder with config.json and weights is needed");
  ConfigReader config(read_python_json_file(is_file ? path : path + "/config.json"), options);
  const auto& catalog = Catalog<Architecture>::instance();
  const std::string type = config.model_type();
  const Architecture* architecture = catalog.find(type);
  if (architecture == nullptr)
    config.fail("model_type", fmt::format("no forward pass for \"{}\"{}", type,
                                          name_help(type, catalog.names())));
  const DecoderLoader load = architecture->read(config);
  check_quantization(config);
  config.refuse_unread();
  Loaded loaded;
  loaded.weights = options.random_seed ? std::make_unique<Checkpoint>(*options.random_seed)
                                       : std::make_unique<Checkpoint>(path);
  loaded.decoder = load(*loaded.weights);
  return loaded;
}

}  // namespace

class ForwardModel::Cache : public RequestState {};

struct ForwardModel::State {
  State(const std::string& path, const LoadOptions& options)
      : loaded(load_decoder(path, options)) {}

  // Checks the requests and runs `pass` over them; one run at a time.
  ForwardOutput run(std::span<const Request> requests,
                    const ForwardOptions& options,
                    ForwardOutput (ForwardPass::*pass)(std::span<const PassRequest>));
  void check(std::span<const Request> requests, const ForwardOptions& options) const;
  ThreadPool& pool_of(int threads);

  Loaded loaded;
  std::mutex one_run;  // the pool and the rotary tables serve one run at a time
  std::unique_ptr<ThreadPool> pool;
};

ForwardModel::ForwardModel(const std::string& folder, const LoadOptions& options)
    : state_(std::make_unique<State>(folder, options)) {}
ForwardModel::~ForwardModel() = default;
ForwardModel::ForwardModel(ForwardModel&&) noexcept = default;

int ForwardModel::experts() const { return static_cast<int>(state_->loaded.decoder.experts); }
int ForwardModel::top_k() const { return static_cast<int>(state_->loaded.decoder.top_k); }
int ForwardModel::vocabulary() const { return static_cast<int>(state_->loaded.decoder.vocabulary); }
bool ForwardModel::has_encoder() const { return state_->loaded.decoder.encoder_layers > 0; }
std::int32_t ForwardModel::decoder_start() const { return state_->loaded.decoder.decoder_start; }

std::vector<int> ForwardModel::moe_layer_ids() const {
  const Decoder& decoder = state_->loaded.decoder;
  std::vector<int> ids;
  for (std::size_t layer = 0; layer < decoder.layers.size(); ++layer)
    if (decoder.layers[layer]->routed()) ids.push_back(decoder.layer_ids[layer]);
  return ids;
}

std::shared_ptr<ForwardModel::Cache> ForwardModel::new_cache() const {
  auto cache = std::make_shared<Cache>();
  for (const auto& layer : state_->loaded.decoder.layers)
    cache->states.push_back(layer->new_state());
  return cache;
}

ForwardOutput ForwardModel::run(std::span<const std::int32_t> tokens,
                                Cache& cache,
                                const ForwardOptions& options) const {
  const Request request{tokens, &cache};
  return run({&request, 1}, options);
}

ForwardOutput ForwardModel::run(std::span<const Request> requests,
                                const ForwardOptions& options) const {
  return state_->run(requests, options, &ForwardPass::run_decoder);
}

ForwardOutput ForwardModel::encode(std::span<const Request> requests,
                                   const ForwardOptions& options) const {
  if (!has_encoder()) throw std::logic_error("encode() needs an encoder-decoder model");
  return state_->run(requests, options, &ForwardPass::run_encoder);
}

ForwardOutput ForwardModel::State::run(
    std::span<const Request> requests,
    const ForwardOptions& options,
    ForwardOutput (ForwardPass::*pass)(std::span<const PassRequest>)) {
  check(requests, options);
  const std::lock_guard lock(one_run);
  std::vector<PassRequest> of_pass;
  of_pass.reserve(requests.size());
  for (const Request& request : requests) of_pass.push_back({request.tokens, request.cache});
  ForwardPass forward(loaded.decoder, pool_of(options.threads), options);
  return (forward.*pass)(of_pass);
}

void ForwardModel::State::check(std::span<const Request> requests,
                                const ForwardOptions& options) const {
  const std::int64_t vocabulary = loaded.decoder.vocabulary;
  for (const Request& request : requests)
    for (std::size_t i = 0; i < request.tokens.size(); ++i)
      if (request.tokens[i] < 0 || request.tokens[i] >= vocabulary)
        throw InputError(
            fmt::format("token {} of the input has id {}; the vocabulary has ids 0 to {}", i,
                        request.tokens[i], vocabulary - 1));
  if (options.threads < 0)
    throw InputError(
        fmt::format("threads is {}; it must be 0 (all cores) or more", options.threads));
}

ThreadPool& ForwardModel::State::pool_of(int threads) {
  if (threads == 0) threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (!pool || pool->threads() != threads) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

}  // namespace moesim
