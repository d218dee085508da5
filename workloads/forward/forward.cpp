// ForwardModel: loading by architecture, and the pass itself, layer by layer.
#include "workloads/forward/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "workloads/forward/architecture.h"
#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

// Longer prompts run in pieces of this many tokens, which bounds memory by the model's width.
constexpr std::int64_t kPieceTokens = 512;

Decoder load_decoder(const std::string& folder) {
  const JsonNode root = read_json_file(folder + "/config.json");
  ConfigReader config(root);
  const auto& catalog = Catalog<Architecture>::instance();
  const std::string type = config.model_type();
  const Architecture* architecture = catalog.find(type);
  if (architecture == nullptr)
    config.fail("model_type", fmt::format("no forward pass for \"{}\"{}", type,
                                          name_help(type, catalog.names())));
  const DecoderLoader load = architecture->read(config);
  config.refuse_unread();
  return load(Checkpoint(folder));
}

void norm_rows(const ConstMatrix& x, const Floats& weight, float epsilon, const Matrix& out) {
  for (std::int64_t row = 0; row < x.rows; ++row)
    rms_norm({x.row(row), static_cast<std::size_t>(x.columns)}, weight, epsilon, out.row(row));
}

void append(const Matrix& rows, std::vector<float>& to) {
  to.insert(to.end(), rows.data, rows.row(rows.rows));
}

}  // namespace

class ForwardModel::Cache {
 public:
  std::int64_t tokens = 0;
  std::vector<std::unique_ptr<AttentionState>> states;  // by layer
};

struct ForwardModel::State {
  explicit State(const std::string& folder) : decoder(load_decoder(folder)) {}

  void run_piece(std::span<const std::int32_t> tokens,
                 Cache& cache,
                 const ForwardOptions& options,
                 ForwardOutput& output);
  void embed(std::span<const std::int32_t> tokens, const Matrix& x) const;
  ThreadPool& pool_of(int threads);

  Decoder decoder;
  std::mutex one_run;  // the pool and the rotary tables serve one run at a time
  std::unique_ptr<ThreadPool> pool;
};

ForwardModel::ForwardModel(const std::string& folder) : state_(std::make_unique<State>(folder)) {}
ForwardModel::~ForwardModel() = default;
ForwardModel::ForwardModel(ForwardModel&&) noexcept = default;

int ForwardModel::experts() const { return static_cast<int>(state_->decoder.experts); }
int ForwardModel::top_k() const { return static_cast<int>(state_->decoder.top_k); }
int ForwardModel::vocabulary() const { return static_cast<int>(state_->decoder.vocabulary); }

std::vector<int> ForwardModel::moe_layer_ids() const {
  std::vector<int> ids;
  for (std::size_t layer = 0; layer < state_->decoder.layers.size(); ++layer)
    if (state_->decoder.layers[layer].ffn->routed()) ids.push_back(static_cast<int>(layer));
  return ids;
}

std::shared_ptr<ForwardModel::Cache> ForwardModel::new_cache() const {
  auto cache = std::make_shared<Cache>();
  for (const DecoderLayer& layer : state_->decoder.layers)
    cache->states.push_back(layer.attention->new_state());
  return cache;
}

ForwardOutput ForwardModel::run(std::span<const std::int32_t> tokens,
                                Cache& cache,
                                const ForwardOptions& options) const {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= state_->decoder.vocabulary)
      throw InputError(
          fmt::format("token {} of the input has id {}; the vocabulary has ids 0 to {}", i,
                      tokens[i], state_->decoder.vocabulary - 1));
  if (options.threads < 0)
    throw InputError(
        fmt::format("threads is {}; it must be 0 (all cores) or more", options.threads));
  const std::lock_guard lock(state_->one_run);
  ForwardOutput output;
  for (const int layer : moe_layer_ids()) {
    output.routing.emplace_back();
    output.routing.back().layer = layer;
  }
  constexpr auto kPiece = static_cast<std::size_t>(kPieceTokens);
  for (std::size_t first = 0; first < tokens.size(); first += kPiece)
    state_->run_piece(tokens.subspan(first, std::min(kPiece, tokens.size() - first)), cache,
                      options, output);
  return output;
}

ThreadPool& ForwardModel::State::pool_of(int threads) {
  if (threads == 0) threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (!pool || pool->threads() != threads) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

void ForwardModel::State::embed(std::span<const std::int32_t> tokens, const Matrix& x) const {
  Floats row;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    std::copy_n(decoder.embedding->expand(tokens[i], 1, row), decoder.hidden,
                x.row(static_cast<std::int64_t>(i)));
}

void ForwardModel::State::run_piece(std::span<const std::int32_t> tokens,
                                    Cache& cache,
                                    const ForwardOptions& options,
                                    ForwardOutput& output) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const ForwardStep step{pool_of(options.threads), cache.tokens, count};
  const auto size = static_cast<std::size_t>(count * decoder.hidden);
  Floats residual(size), normed(size), change(size);
  const Matrix x{residual.data(), count, decoder.hidden, decoder.hidden};
  const Matrix in{normed.data(), count, decoder.hidden, decoder.hidden};
  const Matrix out{change.data(), count, decoder.hidden, decoder.hidden};
  const ConstMatrix x_read{x.data, x.rows, x.columns, x.stride};
  const ConstMatrix in_read{in.data, in.rows, in.columns, in.stride};

  embed(tokens, x);
  LayerRouting not_routed;
  std::size_t moe_layer = 0;
  for (std::size_t number = 0; number < decoder.layers.size(); ++number) {
    const DecoderLayer& layer = decoder.layers[number];
    norm_rows(x_read, layer.attention_norm, decoder.norm_epsilon, in);
    layer.attention->run(step, in_read, out, *cache.states[number]);
    add_scaled(change, 1, residual.data());
    norm_rows(x_read, layer.ffn_norm, decoder.norm_epsilon, in);
    const bool routed = layer.ffn->routed();
    LayerRouting& routing = routed ? output.routing[moe_layer++] : not_routed;
    layer.ffn->run(step, in_read, out, routing);
    add_scaled(change, 1, residual.data());
    if (!routed || !options.keep_blocks) continue;
    append(in, routing.input);
    append(out, routing.output);
  }
  cache.tokens += count;
  if (!options.keep_logits) return;
  norm_rows(x_read, decoder.final_norm, decoder.norm_epsilon, in);
  const std::size_t before = output.logits.size();
  output.logits.resize(before + static_cast<std::size_t>(count * decoder.vocabulary));
  linear(step.pool, in_read, *decoder.head, nullptr,
         {output.logits.data() + before, count, decoder.vocabulary, decoder.vocabulary});
}

}  // namespace moesim
