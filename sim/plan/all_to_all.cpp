// What the all-to-all algorithms share: the size of a row.
#include "sim/plan/all_to_all.h"

namespace moesim {

double row_bytes(std::int64_t hidden, PayloadFormat format) {
  if (format == PayloadFormat::bf16) return 2.0 * static_cast<double>(hidden);
  const std::int64_t scales = (hidden + 127) / 128;
  return static_cast<double>(hidden + 4 * scales);
}

}  // namespace moesim
