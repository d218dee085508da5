// Tables of how often each expert was chosen, and tokens drawn so that their loads follow them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "workloads/traces/importer.h"

namespace moesim {

// Token copies by [layer][expert], counted over the same tokens in every layer.
struct CountGroup {
  std::uint8_t domain = 0;
  std::int32_t step = 0;
  std::vector<std::int64_t> counts;  // none negative
};

struct CountTable {
  std::string name;   // what messages call the source
  std::string model;  // empty = the format does not say
  std::size_t layers = 0;
  std::size_t experts = 0;
  int top_k = 0;               // 0 = the format does not say
  std::vector<int> layer_ids;  // of the layers, where the format says them
  std::vector<std::string> domains;
  std::vector<CountGroup> groups;  // a domain or a step each
};

// `total` split in proportion to `shares`, by largest remainders, none above `most`; what would
// exceed it goes to the others, or stays out where all are full. Sums of shares fit 63 bits.
std::vector<std::int64_t> apportion(std::span<const std::int64_t> shares,
                                    std::int64_t total,
                                    std::int64_t most);

// `tokens` rows of `top_k` experts, no expert twice in a row, in which expert e stands in exactly
// loads[e] rows; places left over are kNotRouted. Needs loads[e] <= tokens and their sum <= tokens
// x top_k. Rows are exchangeable: any subset is a fair sample. Method: systematic sampling (Madow
// 1949), made exact by carrying the remaining loads from block to block: docs/traces.md, "Tokens
// from counts".
std::vector<std::uint16_t> draw_rows(std::span<const std::int64_t> loads,
                                     std::size_t tokens,
                                     std::size_t top_k,
                                     Random random);

// Draws options.tokens tokens, or as many as the counts imply (sum / top_k) up to 65536, shared
// over groups in proportion to their tokens. Every layer's load in every group is the table's to
// within one copy; layers are drawn apart, so nothing ties a token's experts in one layer to those
// in another, nor to its neighbours'. Requests are runs of 256 rows, phase prefill. InputError: no
// top_k, negative or overflowing sums, an expert chosen more often than there are tokens.
ImportedTrace draw_from_counts(const CountTable& table, const ImportOptions& options);

}  // namespace moesim
