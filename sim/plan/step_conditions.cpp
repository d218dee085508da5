// Every kernel of a step draws by its own name, rank after rank: one rank more, or another
// schedule, changes no other draw.
#include "sim/plan/step_conditions.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/core/random.h"

namespace moesim {
namespace {

// Mean 1, coefficient of variation `spread`.
double lognormal_factor(double spread, Random& random) {
  const double variance = std::log(1 + spread * spread);
  return std::exp(std::sqrt(variance) * random.normal() - variance / 2);
}

std::size_t padded_size(const BatchPadding& padding, std::size_t requests) {
  const auto fits = [&](int size) { return static_cast<std::size_t>(size) >= requests; };
  const auto found = std::find_if(padding.batch_sizes.begin(), padding.batch_sizes.end(), fits);
  return found == padding.batch_sizes.end() ? requests : static_cast<std::size_t>(*found);
}

}  // namespace

void pad_batches(const BatchPadding& padding, std::uint32_t row, std::vector<Batch>& batches) {
  for (Batch& batch : batches) {
    const int tokens = 1 + batch.drafts;  // of a request
    std::vector<std::size_t> sizes;
    for (const auto& entries : batch.by_rank) sizes.push_back(padded_size(padding, entries.size()));
    if (padding.to_largest && !sizes.empty())
      std::fill(sizes.begin(), sizes.end(), *std::max_element(sizes.begin(), sizes.end()));
    for (std::size_t group = 0; group < sizes.size(); ++group) {
      const std::size_t missing = sizes[group] - batch.by_rank[group].size();
      const std::size_t rows = missing * static_cast<std::size_t>(tokens);
      batch.padding += rows;
      batch.rows[group].insert(batch.rows[group].end(), rows, row);
      batch.by_rank[group].insert(batch.by_rank[group].end(), missing,
                                  BatchEntry{kPaddingRequest, Phase::decode, tokens, 0});
    }
  }
}

void draw_conditions(const WorkloadSpec& workload,
                     std::uint64_t seed,
                     std::vector<Batch>& batches) {
  Random random = Random::named(seed, "host");
  for (std::size_t step = 0; step < batches.size(); ++step) {
    Batch& batch = batches[step];
    batch.noise = workload.noise;
    batch.noise.seed = seed;
    batch.noise.step = static_cast<int>(step);
    batch.launch = workload.launch;
    batch.host.clear();
    if (workload.host_time.count() == 0) continue;
    for (std::size_t group = 0; group < batch.rows.size(); ++group)
      batch.host.push_back(workload.host_time * lognormal_factor(workload.host_spread, random));
  }
}

void add_noise(const KernelNoise& noise, StepGraph& graph) {
  if (noise.rank == 0 && noise.kernel == 0) return;
  Random of_ranks = Random::named(noise.seed, "noise of ranks");
  std::vector<double> own(static_cast<std::size_t>(graph.ranks));
  for (double& factor : own) factor = lognormal_factor(noise.rank, of_ranks);
  for (Task& task : graph.tasks) {
    if (task.exchange >= 0 || task.kind == TaskKind::host) continue;
    Random random = Random::named(
        noise.seed, "noise " + std::to_string(noise.step) + " " + std::to_string(task.layer) + " " +
                        to_text(task.kind) + " " + std::to_string(task.micro_batch));
    for (std::size_t rank = 0; rank < own.size(); ++rank) {
      const double factor =
          own[rank] * (noise.kernel > 0 ? lognormal_factor(noise.kernel, random) : 1);
      task.noise.push_back(task.by_rank[rank] * (factor - 1));
      task.by_rank[rank] += task.noise.back();
    }
  }
}

}  // namespace moesim
