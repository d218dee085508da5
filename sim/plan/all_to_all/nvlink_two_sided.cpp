// nvlink_two_sided: as nvlink_one_sided, with a step before that tells receivers what comes and
// where it goes (TensorRT-LLM's prepare; its time stands in the calibration's `fixed` of dispatch).
#include "sim/plan/all_to_all/rank_rows.h"

namespace moesim {
namespace {

const Registered<AllToAllPart> registered{
    "nvlink_two_sided",
    "send and receive over NVLink after a prepare step: a row per destination rank",
    {rank_rows_dispatch(), rank_rows_combine(), rank_rows_buffers, true}};

}  // namespace
}  // namespace moesim
