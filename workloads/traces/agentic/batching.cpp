// The loop over steps. Times are those of the description's step_time, not simulated ones: they
// only decide which step a turn falls into.
#include "workloads/traces/agentic/batching.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <utility>

#include "sim/core/error.h"
#include "workloads/traces/agentic/prefix_cache.h"

namespace moesim {
namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;

struct Progress {
  std::size_t turn = 0;         // the one that waits or runs
  std::int64_t context = 0;     // tokens in the KV cache
  std::int64_t prompt_end = 0;  // where the turn's prompt ends
  std::int64_t turn_end = 0;    // where its answer ends
  int rank = -1;
};

struct RankState {
  PrefixCache cache;
  std::deque<std::int32_t> waiting;
  std::vector<std::int32_t> running;  // in the order of admission
  std::int64_t unfinished = 0;        // requests
};

class Scheduler {
 public:
  Scheduler(const AgenticDescription& description, const std::vector<AgenticRequest>& requests)
      : description_(description), requests_(requests), progress_(requests.size()) {
    const PrefixCache cache(description.cache_block, description.cache_tokens,
                            description.kinds.size());
    ranks_.assign(static_cast<std::size_t>(description.ranks), {cache, {}, {}, 0});
    for (std::size_t i = 0; i < requests.size(); ++i)
      ready_.emplace(requests[i].arrival.count(), static_cast<std::int32_t>(i));
  }

  AgenticSchedule run() {
    while (true) {
      collect_ready();
      const std::size_t before = schedule_.entries.size();
      for (int rank = 0; rank < description_.ranks; ++rank) fill(rank);
      if (schedule_.entries.size() == before) {
        if (ready_.empty()) return std::move(schedule_);
        now_ = ready_.top().first;
        continue;
      }
      if (computed_ > kMostRows)
        throw InputError(
            fmt::format("step {}: more than {} tokens are computed, beyond what a "
                        "trace numbers; ask for fewer requests, or for a larger "
                        "prefix_cache.tokens_per_rank",
                        schedule_.steps, kMostRows));
      now_ += description_.step_time.count();
      ++schedule_.steps;
      for (std::size_t i = before; i < schedule_.entries.size(); ++i)
        after_step(schedule_.entries[i]);
    }
  }

 private:
  PrefixCache::Owner owner(std::int32_t request) const {
    const std::size_t kind = requests_[index_of(request)].kind;
    return {request, kind, description_.kinds[kind].system_prompt};
  }
  static std::size_t index_of(std::int32_t request) { return static_cast<std::size_t>(request); }

  void collect_ready() {
    while (!ready_.empty() && ready_.top().first <= now_) {
      const std::int32_t request = ready_.top().second;
      ready_.pop();
      Progress& progress = progress_[index_of(request)];
      if (progress.rank < 0) {
        const auto idlest = std::min_element(
            ranks_.begin(), ranks_.end(),
            [](const RankState& a, const RankState& b) { return a.unfinished < b.unfinished; });
        progress.rank = static_cast<int>(idlest - ranks_.begin());
        ++idlest->unfinished;
      }
      ranks_[static_cast<std::size_t>(progress.rank)].waiting.push_back(request);
    }
  }

  void fill(int rank) {
    RankState& state = ranks_[static_cast<std::size_t>(rank)];
    std::int64_t budget = description_.tokens_per_step;
    for (const Phase phase : {Phase::decode, Phase::prefill})
      for (const std::int32_t request : state.running)
        if (phase_of(request) == phase) budget -= add_entry(rank, request, budget);
    while (budget > 0 && !state.waiting.empty() &&
           static_cast<std::int64_t>(state.running.size()) < description_.requests_per_rank) {
      const std::int32_t request = state.waiting.front();
      state.waiting.pop_front();
      admit(request, state);
      budget -= add_entry(rank, request, budget);
    }
  }

  Phase phase_of(std::int32_t request) const {
    const Progress& progress = progress_[index_of(request)];
    return progress.context < progress.prompt_end ? Phase::prefill : Phase::decode;
  }

  void admit(std::int32_t request, RankState& state) {
    Progress& progress = progress_[index_of(request)];
    const AgenticTurn& turn = requests_[index_of(request)].turns[progress.turn];
    progress.prompt_end = progress.turn_end + turn.prompt_tokens;
    progress.turn_end = progress.prompt_end + turn.output_tokens;
    progress.context = state.cache.take(owner(request));
    schedule_.prompt_tokens += progress.prompt_end;
    schedule_.cached_tokens += progress.context;
    state.running.push_back(request);
  }

  std::int64_t add_entry(int rank, std::int32_t request, std::int64_t budget) {
    if (budget <= 0) return 0;
    const Progress& progress = progress_[index_of(request)];
    const Phase phase = phase_of(request);
    const std::int64_t tokens =
        phase == Phase::decode ? 1 : std::min(budget, progress.prompt_end - progress.context);
    schedule_.entries.push_back({schedule_.steps, rank, request,
                                 static_cast<std::int32_t>(progress.context),
                                 static_cast<std::int32_t>(tokens), phase});
    computed_ += tokens;
    return tokens;
  }

  void after_step(const AgenticEntry& entry) {
    Progress& progress = progress_[index_of(entry.request)];
    RankState& state = ranks_[static_cast<std::size_t>(progress.rank)];
    progress.context += entry.new_tokens;
    state.cache.computed(owner(entry.request), progress.context);
    if (progress.context < progress.turn_end) return;
    state.running.erase(std::find(state.running.begin(), state.running.end(), entry.request));
    const auto& turns = requests_[index_of(entry.request)].turns;
    if (++progress.turn == turns.size()) {
      --state.unfinished;
      return;
    }
    state.cache.keep(owner(entry.request), progress.context);
    ready_.emplace(now_ + turns[progress.turn].wait.count(), entry.request);
  }

  const AgenticDescription& description_;
  const std::vector<AgenticRequest>& requests_;
  std::vector<Progress> progress_;
  std::vector<RankState> ranks_;
  using ReadyTurn = std::pair<double, std::int32_t>;  // seconds, request
  std::priority_queue<ReadyTurn, std::vector<ReadyTurn>, std::greater<>> ready_;
  AgenticSchedule schedule_;
  double now_ = 0;
  std::int64_t computed_ = 0;
};

}  // namespace

AgenticSchedule schedule_requests(const AgenticDescription& description,
                                  const std::vector<AgenticRequest>& requests) {
  return Scheduler(description, requests).run();
}

}  // namespace moesim
