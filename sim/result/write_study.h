// result.json of studies of any size: point by point, never as one document in memory.
#pragma once

#include <functional>
#include <string>

#include "sim/result/result.h"

namespace moesim {

// Writes what to_json(study).dump(1) and a line's end would be, whole or not at all. `next` gives
// the points one after another, `count` of them; of `study` only name and file are read.
void write_study(const std::string& path,
                 const StudyResult& study,
                 std::size_t count,
                 const std::function<PointResult(std::size_t)>& next);

// Takes out what only the charts of single points show: of 10,000 points it is most of the memory.
void drop_details(PointResult& point);

}  // namespace moesim
