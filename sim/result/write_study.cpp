// A study's JSON in pieces.
#include "sim/result/write_study.h"

#include <nlohmann/json.hpp>
#include <span>

#include "sim/io/files.h"

namespace moesim {
namespace {

// As an element of "points", two levels deep. JSON strings hold no line ends of their own.
std::string indented(const std::string& text) {
  std::string deeper = "  ";
  for (const char letter : text) {
    deeper += letter;
    if (letter == '\n') deeper += "  ";
  }
  return deeper;
}

}  // namespace

void write_study(const std::string& path,
                 const StudyResult& study,
                 std::size_t count,
                 const std::function<PointResult(std::size_t)>& next) {
  const std::string frame = to_json(StudyResult{study.name, study.file, {}}).dump(1);
  const std::string empty = "\"points\": []";
  // In a string the quotes would be escaped, so this is the key.
  const std::size_t at = frame.find(empty);
  write_file(path, [&](const Sink& sink) {
    const auto put = [&](const std::string& text) { sink(std::as_bytes(std::span(text))); };
    put(frame.substr(0, at) + (count == 0 ? empty : "\"points\": [\n"));
    for (std::size_t i = 0; i < count; ++i)
      put((i == 0 ? "" : ",\n") + indented(to_json(next(i)).dump(1)));
    put((count == 0 ? "" : "\n ]") + frame.substr(at + empty.size()) + "\n");
  });
}

void drop_details(PointResult& point) {
  point.layers = {};
  point.ranks_detail = {};
  point.waits = {};
  point.expert_load = {};
  point.expert_load_layers = {};
  point.memory.by_rank = {};
  point.links = {};
  point.bottlenecks = {};
  point.link_use = {};
  point.placement = {};
  point.slot_bytes = {};
}

}  // namespace moesim
