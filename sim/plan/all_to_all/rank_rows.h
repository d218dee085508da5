// What algorithms of one NVLink domain share: one row per (token, distinct destination rank).
#pragma once

#include "sim/plan/all_to_all.h"

namespace moesim {

// Dispatch rows, and combine's over the same pairs back.
AllToAllPart::Traffic rank_rows_dispatch();
AllToAllPart::Traffic rank_rows_combine();

// A region for every source rank's tokens, M each, for dispatched rows (with expert and weight of
// each choice, 8 bytes) and for combined rows.
Bytes rank_rows_buffers(const ExchangeShape& shape);

}  // namespace moesim
