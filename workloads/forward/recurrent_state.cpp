// Columns of the memory in blocks that stay in registers and the first-level cache over all tokens.
// Compiled twice, for any x86-64 and for AVX2, with the same operations in the same order.
#include "workloads/forward/recurrent_state.h"

#include <algorithm>
#include <vector>

namespace moesim {
namespace {

#define MOESIM_INLINE inline __attribute__((always_inline))

// Column block of the memory: [key_dim][kStateColumns], padded with zeros.
struct Columns {
  float values[kStateColumns];
};

// Turns a value into what the memory does not already say about the key, times the rate.
MOESIM_INLINE void delta(const Recurrence& tokens,
                         std::int64_t token,
                         const Columns* memory,
                         Columns& value) {
  const float* key = tokens.keys.row(token);
  const float decay = *tokens.decays.row(token), rate = *tokens.rates.row(token);
  Columns known{};
  for (std::int64_t k = 0; k < tokens.keys.columns; ++k)
    for (std::int64_t i = 0; i < kStateColumns; ++i)
      known.values[i] += key[k] * memory[k].values[i];
  for (std::int64_t i = 0; i < kStateColumns; ++i)
    value.values[i] = rate * (value.values[i] - decay * known.values[i]);
}

MOESIM_INLINE void step(const Recurrence& tokens,
                        std::int64_t token,
                        Columns* memory,
                        const Columns& value,
                        Columns& read) {
  const float* key = tokens.keys.row(token);
  const float* query = tokens.queries.row(token);
  const float decay = *tokens.decays.row(token);
  Columns sum{};
  for (std::int64_t k = 0; k < tokens.keys.columns; ++k) {
    float* row = memory[k].values;
    for (std::int64_t i = 0; i < kStateColumns; ++i) {
      row[i] = decay * row[i] + key[k] * value.values[i];
      sum.values[i] += query[k] * row[i];
    }
  }
  read = sum;
}

MOESIM_INLINE void run_block(const Recurrence& tokens,
                             std::int64_t first,
                             std::int64_t columns,
                             Columns* memory,
                             const Matrix& out) {
  for (std::int64_t token = 0; token < tokens.keys.rows; ++token) {
    Columns value{}, read;
    std::copy_n(tokens.values.row(token) + first, columns, value.values);
    if (tokens.rates.data != nullptr) delta(tokens, token, memory, value);
    step(tokens, token, memory, value, read);
    std::copy_n(read.values, columns, out.row(token) + first);
  }
}

__attribute__((target("avx2"))) void run_block_avx2(const Recurrence& tokens,
                                                    std::int64_t first,
                                                    std::int64_t columns,
                                                    Columns* memory,
                                                    const Matrix& out) {
  run_block(tokens, first, columns, memory, out);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;

}  // namespace

void run_recurrence(const Recurrence& tokens, std::int64_t first, float* state, const Matrix& out) {
  const std::int64_t key_dim = tokens.keys.columns, value_dim = tokens.values.columns;
  const std::int64_t columns = std::min(kStateColumns, value_dim - first);
  std::vector<Columns> memory(static_cast<std::size_t>(key_dim));
  for (std::int64_t k = 0; k < key_dim; ++k)
    std::copy_n(state + k * value_dim + first, columns, memory[static_cast<std::size_t>(k)].values);
  if (has_avx2)
    run_block_avx2(tokens, first, columns, memory.data(), out);
  else
    run_block(tokens, first, columns, memory.data(), out);
  for (std::int64_t k = 0; k < key_dim; ++k)
    std::copy_n(memory[static_cast<std::size_t>(k)].values, columns, state + k * value_dim + first);
}

}  // namespace moesim
