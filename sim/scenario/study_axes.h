// What spans a study in a scenario file: "vary", "zip", "sample" and "repeat".
#pragma once

#include <string>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

inline constexpr std::size_t kMostPoints = 100000;  // of a study

// Keys that move together: step s sets keys[k] to values[s][k].
struct StudyAxis {
  std::vector<std::string> keys;
  std::vector<std::vector<JsonNode>> values;
};

// The keys of a scenario that span its study, and are no part of any of its points.
const std::vector<std::string>& study_keys();

// The axes whose cross product is the study, the slowest first:
//   "vary": {key: [values], ...}   an axis for each key, in the order of the keys;
//   "zip": {key: [values], ...}    one axis of all its keys, whose lists are equally long;
//   "sample": {"points": N, "seed": S, "axes": {key: {"from": a, "to": b, "integer": true,
//              "log": true, "unit": "Gb/s"}, ...}}
//                                  one axis: a Latin hypercube of N points in [a, b), each integer
//                                  of [a, b] alike; the scenario's seed unless it has its own;
//   "repeat": N                    one axis: the scenario's seed and those after it.
// InputError for lists that are empty or unequal, a key that two axes set (or whose parent another
// sets), and more than kMostPoints points, before they are made.
std::vector<StudyAxis> read_study_axes(const JsonNode& root);

}  // namespace moesim
