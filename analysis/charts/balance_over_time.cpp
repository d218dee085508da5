// Balancedness of every plan in each window of the trace, mean over the MoE layers.
#include "analysis/analysis.h"
#include "analysis/charts/windows_kit.h"
#include "analysis/compare/bake_off.h"

namespace moesim {
namespace {

nlohmann::json balance_over_time(const StudyResult& study) {
  nlohmann::json option = over_windows(study, "balancedness (1 = even)", "@unit:", mean_balance);
  if (option.is_null()) return option;
  option["yAxis"]["min"] = 0;
  option["yAxis"]["max"] = 1;
  return option;
}

const Registered<ChartPart> registered{
    "balance_over_time",
    "balancedness in each window of the trace, by plan",
    {"Balancedness over the trace",
     "How fast does a placement go stale? Mean over largest number of token copies of a rank, mean "
     "over the MoE layers of each window.",
     6, balance_over_time}};

}  // namespace
}  // namespace moesim
