// What the all-to-all algorithms share: the size of a row, and legs over counts at hand.
#include "sim/plan/all_to_all.h"

#include <algorithm>
#include <cmath>

namespace moesim {

const std::vector<std::string>& payload_names() {
  static const std::vector<std::string> names{"bf16", "fp8", "mxfp8", "nvfp4", "mxfp4"};
  return names;
}

PayloadFormat payload_named(const std::string& name) {
  const auto& names = payload_names();
  return static_cast<PayloadFormat>(std::find(names.begin(), names.end(), name) - names.begin());
}

double row_bytes(std::int64_t hidden, PayloadFormat format) {
  const auto blocks = [&](std::int64_t size) { return (hidden + size - 1) / size; };
  const auto values = static_cast<double>(hidden);
  switch (format) {
    case PayloadFormat::bf16:
      return 2 * values;
    case PayloadFormat::fp8:
      return values + 4.0 * static_cast<double>(blocks(128));
    case PayloadFormat::mxfp8:
      return values + static_cast<double>(blocks(32));
    case PayloadFormat::nvfp4:
      return values / 2 + static_cast<double>(blocks(16));
    case PayloadFormat::mxfp4:
      return values / 2 + static_cast<double>(blocks(32));
  }
  return 0;
}

void check_shape(const AllToAllPart& part, const ExchangeShape& shape) {
  const auto nobody = std::make_shared<const RoutedCopies>();
  part.dispatch(shape, nobody);
  part.combine(shape, nobody);
}

void check_exchanges(const ShardingPlan& plan, int ranks_per_node) {
  ExchangeShape shape;
  shape.ranks = plan.parallelism.expert;
  shape.ranks_per_node = ranks_per_node;
  for (const std::string& name : {plan.dispatch, plan.combine})
    check_shape(Catalog<AllToAllPart>::instance().at(name, "all-to-all"), shape);
}

double sm_speed(int sms, int measured) {
  if (sms == 0 || measured == 0) return 1;
  return std::pow(static_cast<double>(sms) / measured, kSmExponent);
}

Leg leg_of(const std::shared_ptr<const RoutedCopies>& routed,
           const RowCounts& rows,
           double row_bytes,
           bool transposed) {
  return {std::shared_ptr<const RowCounts>(routed, &rows), row_bytes, transposed};
}

}  // namespace moesim
