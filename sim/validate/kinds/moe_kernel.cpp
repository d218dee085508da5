// moe_kernel: what the experts of one rank compute, both products and what stands between them.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/validate/eager_time.h"
#include "sim/validate/expert_loads.h"
#include "sim/validate/kernel_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

// sglang's benchmark of even loads does not fill up the experts' rows: the kernel takes the rows
// block by block, each for the expert of its first row.
std::vector<std::uint32_t> packed(const std::vector<std::uint32_t>& rows) {
  constexpr std::uint32_t kBlock = 128;
  const auto sum = std::accumulate(rows.begin(), rows.end(), std::uint32_t{0});
  const std::uint32_t blocks = (sum + kBlock - 1) / kBlock;
  if (blocks >= rows.size()) return rows;
  return std::vector<std::uint32_t>(blocks, std::min(sum, kBlock));
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& /*calibration*/) {
  const JsonNode& typed = *record.typed;
  const std::string reason = kernel_refusal(typed, {"grouped_contiguous", "grouped_masked"});
  if (!reason.empty()) return Unmapped{reason};
  const Accelerator accelerator = load_accelerator(accelerator_file(typed.at("accelerator")));
  const KernelTimer timer(accelerator);
  const WeightFormat format = weight_format(typed);
  timer.check_precision(format);
  const ExpertLoad load = expert_load_of(typed);
  ExpertShape shape;
  shape.hidden = typed.at("hidden").as_int(1, 1 << 20);
  shape.width = typed.at("intermediate").as_int(1, 1 << 20);
  shape.format = format;
  shape.precision = timer.compute_precision(format);
  shape.layout = layout_of(typed);
  // Kernel benchmarks of the contiguous layout hand over every token of the group as received.
  const double received = 1.0 * load.tokens_per_rank * load.ranks;
  Prediction prediction;
  prediction.what = "moe_kernel " + typed.at("part").as_string();
  prediction.conditions =
      fmt::format("{}, EP {}, {} tokens a rank, {} of {} experts, {} x {}, {}",
                  typed.at("accelerator").as_string(), load.ranks, load.tokens_per_rank, load.top_k,
                  load.experts, shape.hidden, shape.width, typed.at("dtype").as_string());
  prediction.basis = Basis::exact;
  // Benchmarks that skew the load draw it anew a few times and print the mean.
  auto draws = heaviest_rank_rows(load);
  if (shape.layout == ExpertLayout::contiguous && !load.skewed) draws = {packed(draws.front())};
  const auto many = static_cast<double>(draws.size());
  for (const auto& rows : draws) {
    const std::vector<KernelWork> works = expert_work(rows, shape, received);
    const KernelCost cost = timer.sum(works);
    prediction.predicted += cost.time / many;
    prediction.at_line_rate += timer.datasheet_time(works) / many;
    prediction.basis = weaker(prediction.basis, cost.basis);
  }
  if (shape.layout == ExpertLayout::contiguous)
    prediction.predicted = eager_time(prediction.predicted, "experts");
  set_times(
      typed,
      6.0 * load.tokens_per_rank * load.top_k * static_cast<double>(shape.hidden * shape.width),
      prediction);
  return prediction;
}

const Registered<RecordKind> registered{
    "moe_kernel", "the experts of one rank, both products", {predict, {}}};

}  // namespace
}  // namespace moesim
