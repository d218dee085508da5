// DeepSeek-V3.2 (DeepSeek-V3.2-Exp report; transformers 5.x modular_deepseek_v32.py, commit
// 01f8fa55): DeepSeek-V3 with a lightning indexer before every attention. No golden vectors:
// checked against a naive double-precision decoder written from those formulas (tests).
#include "workloads/forward/sparse_latent_decoder.h"

namespace moesim {
namespace {

DecoderLoader read_deepseek_v32(ConfigReader& config) {
  SparseLatentClass of_class;
  of_class.groups = 8;
  of_class.kept_groups = 4;
  return read_sparse_latent_decoder(config, of_class);
}

const Registered<Architecture> registered{
    "deepseek_v32", "DeepSeek-V3.2: latent attention over indexed keys", {read_deepseek_v32}};

}  // namespace
}  // namespace moesim
