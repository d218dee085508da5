// Placement files of all formats and expert loads, in shapes that the seeds have; what is read
// must come back the same from a file of every format.
#include <cstdlib>

#include "sim/plan/expert_load_file.h"
#include "sim/plan/placement_file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace moesim;

void write_and_read_again(const std::vector<Placement>& placements, const PlacementShape& shape) {
  PlacementOrigin origin;
  origin.experts = shape.experts;
  origin.ranks = shape.ranks;
  for (const char* format : {"moesim", "sglang", "vllm"}) {
    const std::string text = placement_text(placements, origin, placement_format_named(format));
    const fuzz::MemoryFile file(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    const auto back = read_placement(file.path(), shape);
    if (back.size() != placements.size()) std::abort();
    for (std::size_t layer = 0; layer < back.size(); ++layer) {
      if (back[layer].replica_of != placements[layer].replica_of) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  for (const PlacementShape& shape : {PlacementShape{4, 6, 2}, PlacementShape{8, 8, 4}}) {
    std::vector<Placement> placements;
    fuzz::refuse_or_read([&] { placements = read_placement(file.path(), shape); });
    if (!placements.empty()) write_and_read_again(placements, shape);
  }
  return fuzz::refuse_or_read([&] { read_expert_load(file.path()); });
}
