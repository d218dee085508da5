// DeepEP tests/test_intranode.py: normal mode within a node.
#include "sim/calibrate/logs/deepep_normal.h"

namespace moesim {
namespace {

const Registered<LogReader> registered{
    "deepep_intranode",
    "DeepEP tests/test_intranode.py, \"[tuning] Best dispatch (FP8): SMs 24, NVL chunk ...\"",
    {[](const std::string& text) { return recognises_deepep_normal(text, DeepEpReach::one_node); },
     [](const std::string& path, const std::string& text, const LogConditions& given) {
       return read_deepep_normal(path, text, given, DeepEpReach::one_node);
     }}};

}  // namespace
}  // namespace moesim
