// A record of kind "moe_layer" as two exchanges of this project and the experts between them.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/validate/exchange_record.h"
#include "sim/validate/kernel_record.h"

namespace moesim {

struct RecordedLayer {
  std::string part;                               // "layer", "layer0", "layer1"
  std::optional<RecordedExchange> before, after;  // dispatch or all-gather; combine or its like
  std::vector<KernelWork> first, second;          // up to the activation; from there on
  double counted = 0;                             // FLOPs that a rate counts
  bool overlapped =
      false;  // one kernel moves and multiplies: each exchange runs beside its product
  std::string note;
};

// The exchange is the record's algorithm; one that is fused, other or not stated stands in: an
// all-gather where experts are split over tensor-parallel ranks, else DeepEP's normal mode, in its
// low-latency mode where a rank brings at most 128 tokens. layer0 and layer1 have one projection.
std::variant<RecordedLayer, Unmapped> read_layer_record(const JsonNode& typed,
                                                        const KernelTimer& timer,
                                                        const std::string& calibration);

}  // namespace moesim
