// Runs the points of a study: traces first, then one fresh process per point (SimGrid is one engine
// a process), and collects their results.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/result/result.h"
#include "sim/scenario/scenario.h"

namespace moesim {

struct RunOptions {
  std::string out;                     // folder of this study's results
  int jobs = 1;                        // points at a time
  bool links = false;                  // also out/points/<key>.links.csv, every link and exchange
  std::vector<std::string> overrides;  // as given to load_study: the workers load the same study
  std::function<void(const std::string&)> say = [](const std::string&) {
  };  // progress, one line each
};

// The trace a scenario replays: its file, or a forward pass made now and kept in `folder` under the
// hash of all it depends on, so that a second run maps it at once.
std::string prepare_trace(const TraceSource& source,
                          const std::string& folder,
                          const RunOptions& options);

// Hash of all a point's result depends on: scenario, trace (its stored SHA-256), model,
// accelerator, calibration files, program. Names the point's file.
std::string point_key(const StudyPoint& point, const std::string& trace_path);

// One point, in this process: plan, step graphs, replay, checks, ledger. Called by `moesim worker`.
// `links_file`: where to write what every link carried in every exchange, as a table; "": nowhere.
PointResult run_point(const StudyPoint& point,
                      const std::string& trace_path,
                      int threads,
                      const std::string& links_file = "");

// Of a point's result file: beside it, how long planning took on the machine that ran it.
std::string wall_file(const std::string& result_file);

// Writes out/points/<key>.json for points that have none, then out/result.json; returns the whole.
// A worker's failure is thrown on as WorkerFailed after the other workers have ended.
StudyResult run_study(const Study& study, const RunOptions& options);

// A worker process failed; it has already said why.
class WorkerFailed : public std::runtime_error {
 public:
  WorkerFailed(const std::string& message, ExitCode code)
      : std::runtime_error(message), exit_code(code) {}
  ExitCode exit_code;
};

}  // namespace moesim
