// Figures as people read them: three significant digits and a unit that fits.
#pragma once

#include <string>

#include "sim/result/result.h"

namespace moesim {

// A value in the unit a Metric carries: "s" and "B" and "B/s" get a prefix ("48.1 us", "12.3 GiB"),
// "1" is a ratio with three decimals, "1/s" a rate ("812/s"), any other unit follows the number.
std::string quantity_text(double value, const std::string& unit);
std::string metric_text(const Metric& metric);
std::string band_text(const Metric& metric);     // "1.10 ms to 3.31 ms"
std::string kind_text(const std::string& kind);  // "expert_ffn" -> "expert FFN"

// The metric's text, or "-" where the point has no such metric (it did not run).
std::string metric_cell(const PointResult& point, const std::string& name);

// "rank 5: expert FFN: expert 17 of layer 5 draws 4.1x the mean"; for a plan that did not run the
// verdict of its memory ledger.
std::string straggler_text(const PointResult& point);

// "ingress of rank 37: expert 181 draws 6.1x the mean (dispatch of layer 12: 13.1 MiB over nic 37
// in, busy 275 us, 93 % used)", of the step's longest busy link; "" when nothing is exchanged.
std::string bottleneck_text(const PointResult& point);

// What fidelity was used and how far off it is, of all points, each sentence once.
std::vector<std::string> distinct_fidelities(const StudyResult& study);

Basis weakest_basis(const StudyResult& study);  // over all points

// The weakest basis of all points, as the sentence that opens a summary or a page.
std::string weakest_basis_text(const StudyResult& study);

// "12 of 12 checks passed", over all points.
std::string checks_text(const StudyResult& study);

// What all points say, in order of first appearance, each once.
std::vector<std::string> distinct_notes(const StudyResult& study);

// "gpt-oss-20b, routed by reference, on 2 x 8 H100: decode, 16 ranks, 4 steps, fidelity bound";
// a part that differs between points names every value.
std::string setting_text(const StudyResult& study);

}  // namespace moesim
