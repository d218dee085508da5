// A memory estimate for a terminal.
#include "analysis/memory/memory_text.h"

#include <fmt/format.h>

#include "analysis/report/text_table.h"

namespace moesim {
namespace {

constexpr double kGibibyte = 1024.0 * 1024 * 1024;

std::string gibibytes(Bytes bytes) { return fmt::format("{:.2f}", bytes.value / kGibibyte); }

std::string sizes_text(const Parallelism& ranks) {
  std::string text = fmt::format("EP {}, TP {}, DP {}", ranks.expert, ranks.tensor, ranks.data());
  if (ranks.pipeline > 1) text += fmt::format(", PP {}", ranks.pipeline);
  if (ranks.context > 1) text += fmt::format(", CP {}", ranks.context);
  if (ranks.expert_tensor > 1)
    text += fmt::format(", each expert split over {} ranks", ranks.expert_tensor);
  return text;
}

std::string head(const MemoryReport& report) {
  const Precision& precision = report.plan.precision;
  const EngineMemory& memory = report.plan.memory;
  std::string text =
      fmt::format("{} on {} {}: {}\n", report.model.name, report.plan.parallelism.ranks,
                  report.accelerator.name, sizes_text(report.plan.parallelism));
  text += fmt::format("experts {}, dense parts {}, attention {}, KV cache {}",
                      to_text(precision.experts), to_text(precision.dense),
                      to_text(precision.attention.value_or(precision.dense)),
                      to_text(precision.kv_cache));
  if (memory.page_tokens > 1) text += fmt::format(" in pages of {} tokens", memory.page_tokens);
  if (memory.engine != ServingEngine::none)
    text += fmt::format("; {} with memory fraction {:g}",
                        engine_names()[static_cast<std::size_t>(memory.engine)], memory.fraction);
  return text + "\n\n";
}

std::string by_kind(const MemoryReport& report) {
  const MemoryLedger& ledger = report.estimate.ledger;
  const RankMemory& rank = ledger.ranks[static_cast<std::size_t>(ledger.worst_rank)];
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& name, Bytes bytes) {
    rows.push_back(
        {name, gibibytes(bytes), fmt::format("{:.1f} %", 100 * (bytes / ledger.capacity))});
  };
  for (int kind = 0; kind < kMemoryKinds; ++kind) {
    const Bytes bytes = rank.by_kind[static_cast<std::size_t>(kind)];
    if (bytes.value != 0) add(to_text(static_cast<MemoryKind>(kind)), bytes);
  }
  add(ledger.fits ? "free" : "too much",
      ledger.fits ? ledger.headroom : Bytes(-ledger.headroom.value));
  add("capacity", ledger.capacity);
  return text_table({{fmt::format("rank {}, the fullest", ledger.worst_rank), 30, false},
                     {"GiB", 12},
                     {"of capacity", 12}},
                    rows);
}

std::string cache_lines(const MemoryReport& report) {
  const MemoryEstimate& estimate = report.estimate;
  const AdmittedCache& admitted = estimate.admitted;
  std::string text =
      fmt::format("\nKV cache has room for {} GiB a rank: ", gibibytes(admitted.room));
  if (admitted.requests == 0 && admitted.tokens == 0)
    return text + fmt::format("no request of {} tokens\n", report.load.context);
  text += fmt::format("{} tokens, {} requests of {} tokens ({} each) on each of {} DP ranks\n",
                      admitted.tokens, admitted.requests, report.load.context,
                      to_text(admitted.per_request), report.plan.parallelism.data());
  text += fmt::format("Longest context that fits: {} tokens of 1 request", estimate.longest_of_one);
  if (estimate.requests > 1)
    text += fmt::format(", {} of {}", estimate.longest_of_requests, estimate.requests);
  return text + "\n";
}

std::string redundant_line(const MemoryReport& report) {
  const Parallelism& ranks = report.plan.parallelism;
  const std::int64_t most = report.estimate.most_redundant, now = report.plan.redundant_experts;
  if (ranks.expert == 1 || (now == 0 && !report.load.batch)) return "";
  if (most < 0)
    return fmt::format("No number of redundant experts fits with {} requests\n",
                       report.estimate.requests);
  if (most < now) return fmt::format("{} redundant experts fit, not {}\n", most, now);
  return fmt::format("Up to {} redundant experts fit with {} requests\n", most,
                     report.estimate.requests);
}

std::string breaks_line(const MemoryReport& report) {
  const MemoryEstimate& estimate = report.estimate;
  if (!estimate.ledger.fits || estimate.admitted.requests == 0) return "";
  return fmt::format("Breaks first: {}, with request {} of {} tokens on a DP rank\n",
                     to_text(MemoryKind::kv_cache), estimate.admitted.requests + 1,
                     report.load.context);
}

std::string host_line(const MemoryReport& report) {
  const HostExperts& host = report.estimate.host;
  if (host.of_layer == 0) return "";
  return fmt::format(
      "Host memory: {} GiB a GPU, {} experts of each layer. A decode step of {} requests a DP rank "
      "fetches {:.1f} of them a layer (uniform routing), at least {} over PCIe\n",
      gibibytes(host.bytes), host.of_layer, report.estimate.requests, host.misses,
      to_text(host.transfers));
}

std::string changes_table(const MemoryReport& report) {
  const MemoryEstimate& estimate = report.estimate;
  if (estimate.changes.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  for (const MemoryChange& change : estimate.changes) {
    rows.push_back({change.what, fmt::format("{:+.2f}", change.freed.value / kGibibyte),
                    fmt::format("{}", change.tokens),
                    fmt::format("{:+}", change.tokens - estimate.admitted.tokens)});
    if (report.load.batch) rows.back().push_back(change.fits ? "fits" : "does not fit");
  }
  std::vector<TextColumn> columns{
      {"each change alone", 34, false}, {"GiB freed", 12}, {"KV tokens", 14}, {"more", 14}};
  if (report.load.batch)
    columns.push_back({fmt::format("{} requests", estimate.requests), 16, false});
  return "\n" + text_table(columns, rows);
}

}  // namespace

std::string memory_text(const MemoryReport& report) {
  return head(report) + by_kind(report) + cache_lines(report) + breaks_line(report) +
         redundant_line(report) + host_line(report) + "Verdict: " + report.estimate.ledger.verdict +
         "\n" + changes_table(report);
}

}  // namespace moesim
