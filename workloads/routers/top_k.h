// Choosing and ordering, as all routers do it: larger first, equal values by rising id.
#pragma once

#include <cstdint>
#include <span>

namespace moesim {

// The ids of the chosen.size() largest scores. NaN counts as smallest.
void choose_largest(std::span<const float> scores, std::span<std::uint16_t> chosen);

// Orders experts and their weights together by falling weight.
void order_by_weight(std::span<std::uint16_t> experts, std::span<float> weights);

// Divides by the sum (+ epsilon).
void renormalise(std::span<float> weights, float epsilon);

}  // namespace moesim
