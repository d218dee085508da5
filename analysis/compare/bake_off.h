// Plans judged side by side in the same windows of one trace: who wins how often, by how much, and
// what one plan does otherwise than another. Reads results of a workload with windows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

// `better` against `other` (indices into the points), window by window.
struct Duel {
  std::size_t better = 0, other = 0;
  int wins = 0, windows = 0;  // windows in which better's step is shorter, of all
  double median_gain = 0;     // of 1 - its step time / the other's
};

double median(std::vector<double> values);  // of at least one value
// Of the windows' step times, s.
double median_step(const PointResult& point);

// Balancedness, mean over the MoE layers; 1 without any.
double mean_balance(const WindowResult& window);

// Points with windows, the shortest median step first.
std::vector<std::size_t> bake_off_ranking(const StudyResult& study);

// The best against every other, the closest first. Empty with fewer than two points with windows.
std::vector<Duel> duels(const StudyResult& study);

// Replicas of `to` that are on a rank where `from` has none of their expert: what must be sent or
// loaded to go from one plan to the other. Both are plans for the same model, ranks and slots; else
// nullopt.
struct Moves {
  std::size_t slots = 0, all_slots = 0;
  double bytes = 0;  // in all layers of the model
  struct Move {
    int layer = 0, expert = 0;
    int from = 0, to = 0;  // a rank that held it before, and the new one
    double share = 0;      // of the layer's token copies that the expert draws
  };
  std::vector<Move> hottest;  // largest share first, at most three
};
std::optional<Moves> moves_between(const PointResult& from, const PointResult& to);

// "eplb beats contiguous in 19 of 20 windows (95 %), by 4.1 % median."
std::string duel_text(const StudyResult& study, const Duel& duel);

// What `to` does otherwise than `from`: experts moved, tiers and links relieved, where the step
// time went; a sentence each.
std::vector<std::string> difference_text(const PointResult& from, const PointResult& to);

}  // namespace moesim
