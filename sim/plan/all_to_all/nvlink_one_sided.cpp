// nvlink_one_sided: ranks write rows straight into each other's memory over NVLink, one per
// distinct destination rank of a token (TensorRT-LLM's one-sided all-to-all for NVL72).
#include "sim/plan/all_to_all/rank_rows.h"

namespace moesim {
namespace {

const Registered<AllToAllPart> registered{
    "nvlink_one_sided",
    "one-sided writes over NVLink: a row per destination rank",
    {rank_rows_dispatch(), rank_rows_combine(), rank_rows_buffers, true}};

}  // namespace
}  // namespace moesim
