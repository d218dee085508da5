// The memory of one head of a recurrent part: a matrix that every token decays and adds an outer
// product to. The gated delta rule and Mamba-2 are both this recurrence.
#pragma once

#include <cstdint>

#include "workloads/forward/products.h"

namespace moesim {

// Of one head, one row a token. For each token, with memory S [key_dim][value_dim]:
//   S <- decay S
//   v' = rate (v - S^T key) where `rates` is given (the delta rule), v otherwise
//   S <- S + key v'^T
//   out = S^T query
// (arXiv 2412.06464, equation 10; arXiv 2405.21060, section 7, whose B, C and dt x are the key, the
// query and the value.)
struct Recurrence {
  ConstMatrix keys, queries;  // [tokens][key_dim]
  ConstMatrix values;         // [tokens][value_dim]
  ConstMatrix decays, rates;  // [tokens][1]; rates.data may be null
};

// Runs columns first .. first + kStateColumns (or fewer at the end) of S and of `out`
// [tokens][value_dim]: they do not depend on each other. One thread; the same bits for any cut of
// the tokens into calls.
constexpr std::int64_t kStateColumns = 32;
void run_recurrence(const Recurrence& tokens, std::int64_t first, float* state, const Matrix& out);

// The number of such column blocks of a head.
inline std::int64_t state_blocks(std::int64_t value_dim) {
  return (value_dim + kStateColumns - 1) / kStateColumns;
}

}  // namespace moesim
