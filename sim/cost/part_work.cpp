// Products and passes of the parts every token goes through.
#include "sim/cost/part_work.h"

#include "sim/cost/quantised_product.h"

namespace moesim {
namespace {

// Gate and up (or up), the activation, down.
void add_feed_forward(const MoeModel& model,
                      std::int64_t tokens,
                      std::int64_t whole_width,
                      const PartFormat& format,
                      std::vector<KernelWork>& works) {
  const std::int64_t width = (whole_width + format.ranks - 1) / format.ranks;
  const std::int64_t inward = model.matrices() - 1;
  add_product(tokens, {model.hidden, inward * width, format.format, format.precision}, works);
  works.push_back(elementwise_work(tokens, (inward + 1) * width));
  works.push_back(gemm_work(tokens, {width, model.hidden, format.format, format.precision}));
}

}  // namespace

void add_stream_mixing(const MoeModel& model, std::int64_t tokens, std::vector<KernelWork>& works) {
  const std::int64_t streams = model.residual_streams;
  if (streams == 1) return;
  works.push_back(gemm_work(
      tokens, {streams * model.hidden, (2 + streams) * streams, WeightFormat::bf16, "bf16"}));
  works.push_back(elementwise_work(tokens, (3 * streams + 2) * model.hidden));
}

std::vector<KernelWork> router_work(const MoeModel& model, std::int64_t tokens) {
  if (tokens == 0) return {};
  const std::int64_t choices = model.experts + model.zero_experts;
  std::vector<KernelWork> works{
      elementwise_work(tokens, 4 * model.hidden),
      gemm_work(tokens, {model.hidden, choices, WeightFormat::bf16, "bf16"}),
      elementwise_work(tokens, choices + 2 * model.top_k)};
  add_stream_mixing(model, tokens, works);
  return works;
}

std::vector<KernelWork> shared_expert_work(const MoeModel& model,
                                           std::int64_t tokens,
                                           const PartFormat& format) {
  std::vector<KernelWork> works;
  if (tokens == 0) return works;
  if (model.shared_width != 0) add_feed_forward(model, tokens, model.shared_width, format, works);
  if (model.latent_hidden != 0) {
    for (const auto& [inner, outer] : {std::pair(model.hidden, model.latent_hidden),
                                       std::pair(model.latent_hidden, model.hidden)})
      add_product(tokens, {inner, outer, format.format, format.precision}, works);
  }
  return works;
}

std::vector<KernelWork> dense_ffn_work(const MoeModel& model,
                                       const LayerShape& layer,
                                       std::int64_t tokens,
                                       const PartFormat& format) {
  std::vector<KernelWork> works;
  if (tokens == 0 || layer.dense_width == 0) return works;
  if (layer.ffn == FfnKind::dense) {  // beside experts the router's norm serves both
    works.push_back(elementwise_work(tokens, 4 * model.hidden));
    add_stream_mixing(model, tokens, works);
  }
  add_feed_forward(model, tokens, layer.dense_width, format, works);
  return works;
}

std::vector<KernelWork> head_work(const MoeModel& model,
                                  std::int64_t tokens,
                                  std::int64_t columns) {
  if (tokens == 0) return {};
  const double logits = 8.0 * static_cast<double>(tokens * columns);
  return {elementwise_work(tokens, 4 * model.hidden),
          gemm_work(tokens, {model.hidden, columns, WeightFormat::bf16, "bf16"}),
          {"elementwise", Flops(0), Bytes(logits), "bf16"}};
}

}  // namespace moesim
