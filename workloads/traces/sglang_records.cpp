// Records and maps of SGLang dumps that hold a list of forward passes.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "workloads/traces/sglang_dump.h"

namespace moesim {
namespace {

constexpr std::int64_t kMostExperts = 65534;
constexpr std::size_t kMostCells = std::size_t{1} << 26U;

SglangMap read_map(const TorchValue& value) {
  const std::vector<std::int64_t>& shape = value.as_tensor().shape;
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0)
    value.fail(fmt::format("has {} dimensions, expected [layers, physical experts], none empty",
                           shape.size()));
  SglangMap map{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]), 0,
                value.tensor_integers()};
  for (std::size_t i = 0; i < map.logical.size(); ++i) {
    const std::int64_t expert = map.logical[i];
    if (expert < 0 || expert >= kMostExperts)
      value.fail(fmt::format("layer {}, physical expert {}: logical expert {}, allowed: 0 to {}",
                             i / map.physical, i % map.physical, expert, kMostExperts - 1));
    map.experts = std::max(map.experts, static_cast<int>(expert) + 1);
  }
  if (map.layers * static_cast<std::size_t>(map.experts) > kMostCells)
    value.fail(fmt::format("{} layers x {} experts, allowed: {} together", map.layers, map.experts,
                           kMostCells));
  return map;
}

}  // namespace

SglangRecords read_sglang_records(std::span<const ImportFile> files,
                                  const std::vector<TorchValue>& roots) {
  SglangRecords result;
  result.name = files.front().name;
  for (std::size_t file = 0; file < files.size(); ++file) {
    result.maps.push_back(read_map(roots[file].at("last_physical_to_logical_map")));
    const SglangMap& map = result.maps.back();
    const SglangMap& first = result.maps.front();
    if (map.layers != first.layers || map.experts != first.experts)
      throw InputError(
          fmt::format("{}: {} layers of {} experts, but {} has {} of {}: not of one recording",
                      files[file].name, map.layers, map.experts, files.front().name, first.layers,
                      first.experts));
    const TorchValue records = roots[file].at("records");
    result.records.reserve(result.records.size() + records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      const TorchValue record = records.item(i);
      result.records.push_back(
          {record,
           record.at("forward_pass_id").as_integer(0, std::numeric_limits<std::int64_t>::max()),
           static_cast<std::int32_t>(record.at("rank").as_integer(0, 1 << 20)), file});
    }
  }
  std::stable_sort(result.records.begin(), result.records.end(),
                   [](const SglangRecord& a, const SglangRecord& b) {
                     return std::tie(a.forward_pass, a.rank) < std::tie(b.forward_pass, b.rank);
                   });
  return result;
}

}  // namespace moesim
