// Batches from a trace: simulated requests are spread evenly over the traced rows, so that a short
// trace is reused evenly and a long one is sampled without repeats.
#include "sim/plan/batch.h"

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "sim/plan/step_conditions.h"
#include "sim/trace/request_rows.h"

namespace moesim {
namespace {

constexpr double kMaxContext = 1e9;  // keeps a wild lognormal inside an int

std::vector<std::size_t> draw_tokens(const WorkloadSpec& workload, int dp_ranks, Random random) {
  std::vector<std::size_t> tokens(static_cast<std::size_t>(dp_ranks));
  for (std::size_t& count : tokens) {
    const double factor = workload.spread > 0 ? 1 + workload.spread * random.normal() : 1;
    count = static_cast<std::size_t>(std::max(1.0, std::round(workload.tokens_per_rank * factor)));
  }
  return tokens;
}

int draw_context(const WorkloadSpec& workload, Random& random) {
  double context = workload.context_median;
  if (workload.context_sigma > 0) context *= std::exp(workload.context_sigma * random.normal());
  return static_cast<int>(std::min(std::round(context), kMaxContext));
}

// The replay rows as a ring: whole traced requests one after another in shuffled order.
class RowRing {
 public:
  RowRing(const RequestRows& groups, Random random) {
    std::vector<std::size_t> order(groups.requests());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    random.shuffle(std::span(order));
    rows_.reserve(groups.rows.size());
    for (const std::size_t number : order) {
      const auto rows = groups.of(number);
      bounds_.push_back(rows_.size());
      rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
    bounds_.push_back(rows_.size());
    start_ = random.below(rows_.size());
  }

  // A place on the ring, and the bounds of the traced request it lies in.
  struct Place {
    std::size_t at, begin, end;
  };

  std::size_t size() const { return rows_.size(); }
  std::uint32_t row(std::size_t at) const { return rows_[at]; }
  Place place(std::size_t distance) const {  // from the seeded start, any number of rounds
    const std::size_t at = (start_ + distance) % size();
    const auto after = std::upper_bound(bounds_.begin(), bounds_.end(), at);
    return {at, *(after - 1), *after};
  }

 private:
  std::vector<std::uint32_t> rows_;
  std::vector<std::size_t> bounds_;  // where each request begins, and the end
  std::size_t start_ = 0;
};

Batch sized_batch(const std::vector<std::size_t>& tokens, bool one_entry_a_token) {
  Batch batch;
  batch.by_rank.resize(tokens.size());
  batch.rows.resize(tokens.size());
  for (std::size_t g = 0; g < tokens.size(); ++g) {
    batch.rows[g].reserve(tokens[g]);
    if (one_entry_a_token) batch.by_rank[g].reserve(tokens[g]);
  }
  return batch;
}

// Request i of n starts at distance i x size / n: starts are distinct while n <= size, and repeats
// differ by at most one beyond. The shuffle then mixes traced requests over ranks.
std::vector<RowRing::Place> draw_starts(const RowRing& ring, std::size_t requests, Random random) {
  std::vector<RowRing::Place> starts(requests);
  for (std::size_t i = 0; i < requests; ++i) starts[i] = ring.place(i * ring.size() / requests);
  random.shuffle(std::span(starts));
  return starts;
}

std::vector<Batch> decode_batches(const WorkloadSpec& workload,
                                  const RowRing& ring,
                                  const std::vector<std::size_t>& tokens,
                                  std::uint64_t seed) {
  std::size_t requests = 0;
  for (const std::size_t count : tokens) requests += count;
  const auto starts = draw_starts(ring, requests, Random::named(seed, "batch starts"));
  Random random = Random::named(seed, "batch context");
  std::vector<int> contexts(requests);
  for (int& context : contexts) context = draw_context(workload, random);

  const int drafts = workload.drafting.tokens;
  std::vector<Batch> batches;
  for (int step = 0; step < workload.steps; ++step) {
    Batch batch = sized_batch(tokens, true);
    batch.drafts = drafts;
    batch.kept = workload.drafting.output() / (1 + drafts);
    std::size_t request = 0;
    for (std::size_t g = 0; g < tokens.size(); ++g) {
      for (std::size_t i = 0; i < tokens[g]; ++i, ++request) {
        const RowRing::Place& start = starts[request];
        // Past its last row a request begins again: its routing goes on as that of a like one.
        for (int ahead = 0; ahead <= drafts; ++ahead) {
          const std::size_t offset =
              (start.at - start.begin + static_cast<std::size_t>(step + ahead)) %
              (start.end - start.begin);
          batch.rows[g].push_back(ring.row(start.begin + offset));
        }
        batch.by_rank[g].push_back({static_cast<std::int32_t>(request), Phase::decode, 1 + drafts,
                                    contexts[request] + step});
      }
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

// One rank's prefill work: it walks the ring from its own start and takes chunks, none longer than
// the traced request it lies in.
class PrefillStream {
 public:
  PrefillStream(const WorkloadSpec& workload, const RowRing& ring, std::size_t distance)
      : workload_(workload), ring_(ring), distance_(distance) {}

  void fill(
      std::size_t tokens, Batch& batch, std::size_t g, std::int32_t& next_id, Random& random) {
    while (tokens > 0) {
      const RowRing::Place place = ring_.place(distance_);
      if (!open_ || place.at == place.begin) {
        entry_ = {next_id++, Phase::prefill, 0, draw_context(workload_, random)};
        open_ = true;
      }
      const std::size_t taken = std::min(tokens, place.end - place.at);
      for (std::size_t i = 0; i < taken; ++i) batch.rows[g].push_back(ring_.row(place.at + i));
      entry_.new_tokens = static_cast<int>(taken);
      batch.by_rank[g].push_back(entry_);
      entry_.context += entry_.new_tokens;  // a request cut by the step's end goes on in the next
      tokens -= taken;
      distance_ += taken;
    }
  }

 private:
  const WorkloadSpec& workload_;
  const RowRing& ring_;
  std::size_t distance_;
  BatchEntry entry_;
  bool open_ = false;
};

std::vector<Batch> prefill_batches(const WorkloadSpec& workload,
                                   const RowRing& ring,
                                   const std::vector<std::size_t>& tokens,
                                   std::uint64_t seed) {
  Random random = Random::named(seed, "batch context");
  std::vector<Batch> batches;
  batches.reserve(static_cast<std::size_t>(workload.steps));
  for (int step = 0; step < workload.steps; ++step) batches.push_back(sized_batch(tokens, false));
  std::size_t distance = 0;
  std::int32_t next_id = 0;
  for (std::size_t g = 0; g < tokens.size(); ++g) {
    PrefillStream stream(workload, ring, distance);
    for (Batch& batch : batches) stream.fill(tokens[g], batch, g, next_id, random);
    distance += tokens[g] * batches.size();
  }
  return batches;
}

void check_share(double planning_share) {
  if (!(planning_share >= 0 && planning_share <= 1))
    throw InputError({"", 0, 0, "workload.planning_share"},
                     "is " + std::to_string(planning_share) + ", allowed: 0 to 1");
}

}  // namespace

double Drafting::output() const {
  double sum = 1;
  for (int draft = 1; draft <= tokens; ++draft) sum += std::pow(acceptance, draft);
  return sum;
}

std::size_t Batch::tokens() const {
  std::size_t count = 0;
  for (const auto& of_rank : rows) count += of_rank.size();
  return count;
}

TraceSplit split_trace(const RoutingTrace& trace, double planning_share) {
  check_share(planning_share);
  const std::vector<std::uint32_t> rows = all_rows(trace.tokens());
  if (planning_share == 0) return {rows, rows};
  const RequestRows groups = rows_by_request(trace.request, rows);
  TraceSplit split;
  // Rounding is carried on, so that requests of one row are shared out as well; the small term
  // makes ten tenths a whole row.
  double owed = 0;
  for (std::size_t i = 0; i < groups.requests(); ++i) {
    const auto of_request = groups.of(i);
    owed += planning_share * static_cast<double>(of_request.size());
    const std::size_t leading = std::min(static_cast<std::size_t>(owed + 1e-9), of_request.size());
    owed -= static_cast<double>(leading);
    const auto cut = of_request.begin() + static_cast<std::ptrdiff_t>(leading);
    split.planning.insert(split.planning.end(), of_request.begin(), cut);
    split.replay.insert(split.replay.end(), cut, of_request.end());
  }
  std::sort(split.planning.begin(), split.planning.end());
  std::sort(split.replay.begin(), split.replay.end());
  return split;
}

TraceSplit split_trace_in_time(const RoutingTrace& trace, double planning_share) {
  check_share(planning_share);
  const std::vector<std::uint32_t> rows = all_rows(trace.tokens());
  if (planning_share == 0) return {rows, rows};
  const auto cut =
      rows.begin() + static_cast<std::ptrdiff_t>(planning_share * static_cast<double>(rows.size()));
  return {{rows.begin(), cut}, {cut, rows.end()}};
}

std::vector<std::vector<std::uint32_t>> cut_windows(const std::vector<std::uint32_t>& rows,
                                                    int windows) {
  const auto count = static_cast<std::size_t>(windows);
  if (rows.size() < count)
    throw InputError({"", 0, 0, "workload.windows"},
                     "is " + std::to_string(windows) + ", but only " + std::to_string(rows.size()) +
                         " rows of the trace are left to judge by");
  std::vector<std::vector<std::uint32_t>> parts;
  for (std::size_t i = 0; i < count; ++i)
    parts.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(rows.size() * i / count),
                       rows.begin() + static_cast<std::ptrdiff_t>(rows.size() * (i + 1) / count));
  return parts;
}

std::vector<Batch> make_batches(const WorkloadSpec& workload,
                                const RoutingTrace& trace,
                                const std::vector<std::uint32_t>& replay_rows,
                                int dp_ranks,
                                std::uint64_t seed) {
  if (replay_rows.empty())
    throw InputError({"", 0, 0, "workload.planning_share"},
                     "leaves no row of the trace's " + std::to_string(trace.tokens()) +
                         " to replay; choose a smaller share or a longer trace");
  const RowRing ring(rows_by_request(trace.request, replay_rows),
                     Random::named(seed, "batch requests"));
  const auto tokens = draw_tokens(workload, dp_ranks, Random::named(seed, "batch tokens"));
  std::vector<Batch> batches = workload.phase == Phase::decode
                                   ? decode_batches(workload, ring, tokens, seed)
                                   : prefill_batches(workload, ring, tokens, seed);
  if (workload.phase == Phase::decode) pad_batches(workload.padding, replay_rows.front(), batches);
  draw_conditions(workload, seed, batches);
  return batches;
}

}  // namespace moesim
