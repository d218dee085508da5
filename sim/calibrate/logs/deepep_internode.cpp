// DeepEP tests/test_internode.py: normal mode over several nodes.
#include "sim/calibrate/logs/deepep_normal.h"

namespace moesim {
namespace {

const Registered<LogReader> registered{
    "deepep_internode",
    "DeepEP tests/test_internode.py, \"[tuning] Best dispatch (FP8): SMs 24, NVL chunk ..., RDMA "
    "chunk ...\"",
    {[](const std::string& text) {
       return recognises_deepep_normal(text, DeepEpReach::several_nodes);
     },
     [](const std::string& path, const std::string& text, const LogConditions& given) {
       return read_deepep_normal(path, text, given, DeepEpReach::several_nodes);
     }}};

}  // namespace
}  // namespace moesim
