// Tries plans for a model on a cluster and keeps the best: coarse first, the front once more as the
// scenario asks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/scenario/load_search.h"
#include "sim/study/study.h"

namespace moesim {

struct RefusedPlans {  // plans that cannot be, by reason
  std::string reason;
  std::size_t count = 0;
  std::vector<std::pair<std::string, std::string>> first;  // the first one's values
};

struct SearchResult {
  SearchSpec spec;
  std::size_t possible = 0;            // combinations of all values
  StudyResult tried;                   // replayed at fidelity `bound`, one step each
  std::vector<RefusedPlans> refused;   // of those drawn
  StudyResult front;                   // no other plan is both faster a token and cheaper, and the
                                       // best plan where it is another (of fewest GPUs); the
                                       // scenario's own fidelity and steps; the fastest first
  std::vector<std::string> scenarios;  // of the front's plans, each a file's text to run again
  int best = -1;                       // in front.points; -1: no plan keeps the limit
  std::string verdict;  // a sentence: the best, or the nearest miss and what blocks it
};

// options.overrides are applied first. InputError as load_search and load_study; a plan that is
// refused by its own values is counted in `refused`, and where all are, the first reason is thrown.
SearchResult search_plans(const std::string& path, const RunOptions& options);

// Seconds a token (decode) or to the first one (prefill) of a plan that ran.
const Metric* token_time(const PointResult& point);

// Indices of points that ran and that none beats in both tokens/s/GPU and token_time, by rising
// token_time.
std::vector<std::size_t> pareto_front(const StudyResult& study);

}  // namespace moesim
