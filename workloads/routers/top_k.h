// Choosing and ordering, as all routers do it: larger first, equal values by rising id.
#pragma once

#include <cstdint>
#include <span>

#include "workloads/routers/router.h"

namespace moesim {

// The ids of the chosen.size() largest scores. NaN counts as smallest.
void choose_largest(std::span<const float> scores, std::span<std::uint16_t> chosen);

// Orders experts and their weights together by falling weight.
void order_by_weight(std::span<std::uint16_t> experts, std::span<float> weights);

// Divides by the sum (+ epsilon).
void renormalise(std::span<float> weights, float epsilon);

// weights[i] = exp(logits[experts[i]]) / sum over the chosen, times `scale`.
void softmax_of_chosen(std::span<const float> logits,
                       std::span<const std::uint16_t> experts,
                       double scale,
                       std::span<float> weights);

// softmax of one row.
void softmax_over(std::span<const float> logits, std::span<float> shares);

// Group-limited routing: the experts stand in parameters.groups groups of neighbours; a group
// scores the sum of its `best` largest members (1 or 2); members of all but the
// parameters.kept_groups best groups become `fill`.
void mask_groups(std::span<float> scores,
                 const RouterParameters& parameters,
                 std::size_t best,
                 float fill);

// scores[i] + the correction bias, which may be empty.
void add_correction(std::span<const float> bias, std::span<float> scores);

// The weights of an unfinished row: places from `filled` on hold no expert.
void leave_unrouted(std::size_t filled, std::span<std::uint16_t> experts, std::span<float> weights);

}  // namespace moesim
