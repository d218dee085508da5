// The points of a study read one at a time: a worker needs a few of many thousands.
#pragma once

#include <string>
#include <vector>

#include "sim/scenario/scenario.h"
#include "sim/scenario/study_axes.h"

namespace moesim {

// Of a scenario file and its overrides. InputError as load_study's, for the axes when made, for a
// point when it is read; whether a point's faults are possible is checked by load_study alone.
class StudyReader {
 public:
  StudyReader(const std::string& path, const std::vector<std::string>& overrides);

  std::size_t size() const { return size_; }  // points, at least one
  StudyPoint point(std::size_t index) const;  // from 0; the last axis runs fastest

 private:
  std::string path_;
  JsonNode root_;
  std::vector<StudyAxis> axes_;
  std::size_t size_ = 1;
};

}  // namespace moesim
