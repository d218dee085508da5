// Which point of a study is best, by how much, and how far the figures bear that out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

// `better` against `other` (indices into the points), judged by step time where every point does
// the same work a GPU and step, else by tokens per second and GPU.
struct Comparison {
  std::size_t better = 0;
  std::size_t other = 0;
  double ratio = 1;            // >= 1: how many times better
  bool by_throughput = false;  // judged by tokens per second and GPU
  bool bands_overlap = false;  // the two bands share a value
  double least_saving = 0;     // seconds: see certainty_text
  std::string main_part;       // the part of the step that saves most; empty = none saves
  double main_saving = 0;      // seconds
};

// Two points whose values differ by less than this are called equal: below it the order is noise of
// rounding the work, not a finding.
inline constexpr double kEqualRatio = 1.005;

// The best point against every other that ran, the closest first: where it keeps the study's
// objective, against those that keep it too. Empty with fewer than two.
std::vector<Comparison> compare_points(const StudyResult& study);

// The best point that ran; nullopt when none did.
std::optional<std::size_t> best_point(const StudyResult& study);

// The best `most` points, in the study's order; the study itself where it has no more. Of a study
// in which nothing ran, its first point.
StudyResult best_points(const StudyResult& study, std::size_t most);

// "eplb is 1.23x faster than contiguous: 2.21 ms against 2.72 ms a step; most of it in expert FFN
// (430 us less)."
std::string comparison_text(const StudyResult& study, const Comparison& comparison);

// What the bands leave of it; empty when they lie apart or the points are equal. The points of one
// study rest on the same constants, so an error moves a part of the step in both alike: with each
// part k off by up to e (the weaker basis' typical error), the saving is at least
// sum of d_k - e |d_k| over the differences d_k. The order holds where that is above zero.
std::string certainty_text(const StudyResult& study, const Comparison& comparison);

}  // namespace moesim
