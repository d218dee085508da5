// The points of a study read one at a time: a worker needs a few of many thousands.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/scenario/readable_files.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/study_axes.h"

namespace moesim {

// The file with `overrides` applied, which may read what readable_files.h says. InputError for an
// override that is no key=value, and for one of a key that the file's "vary" or "zip" sets.
JsonNode read_study_file(const std::string& path,
                         const std::vector<std::string>& overrides,
                         Outside outside);

// Of a scenario file and its overrides. InputError as load_study's, for the axes when made, for a
// point when it is read; whether a point's faults are possible is checked by load_study alone.
class StudyReader {
 public:
  StudyReader(const std::string& path, const std::vector<std::string>& overrides, Outside outside);
  StudyReader(std::string path, JsonNode root);  // of read_study_file

  std::size_t size() const { return size_; }  // points, at least one
  StudyPoint point(std::size_t index) const;  // from 0; the last axis runs fastest
  // What the axes set there, also where the point cannot be.
  std::vector<std::pair<std::string, std::string>> values(std::size_t index) const;

 private:
  // The file with the values of one point, which it returns too.
  std::vector<std::pair<std::string, std::string>> set(std::size_t index, JsonNode& varied) const;

  std::string path_;
  JsonNode root_;
  std::vector<StudyAxis> axes_;
  std::size_t size_ = 1;
};

// As load_study (scenario.h) of a root that has been read.
Study load_study(const std::string& path, const JsonNode& root);

}  // namespace moesim
