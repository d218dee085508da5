// Runs the points of a study: traces first, then one fresh process per point (SimGrid is one engine
// a process), and collects their results. Several runs may share a folder, also from several
// machines.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"
#include "sim/result/timeline_choice.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// A run's share of a study's points: those with number `index`, counted from 1, and every `count`th
// after it come first; then it takes over what no other run has claimed.
struct Shard {
  std::size_t index = 1, count = 1;
};

struct RunProgress {
  std::size_t done = 0, total = 0;  // points of this run, without those stored before
  double seconds = 0;               // since the first began
};

struct RunOptions {
  std::string out;     // folder of this study's results
  int jobs = 1;        // points at a time
  bool links = false;  // also out/points/<key>.links.csv, every link and exchange
  std::optional<TimelineChoice> timeline;  // also out/points/<key>.timeline.json
  std::vector<std::string> overrides;  // as given to load_study: the workers load the same study
  Outside outside = Outside::refused;  // as given to load_study
  std::optional<Shard> shard;          // claim points one by one; nullopt: all are this run's
  std::function<void(const std::string&)> say = [](const std::string&) {
  };  // what is being made, one line each
  std::function<void(const RunProgress&)> progress = [](const RunProgress&) {
  };  // after every point, and every second or so
};

// The trace a scenario replays: its file, or a forward pass made now and kept in `folder` under the
// hash of all it depends on, so that a second run maps it at once.
std::string prepare_trace(const TraceSource& source,
                          const std::string& folder,
                          const RunOptions& options);

// Of the program itself: rebuilt code must not be answered from results of the old one.
const std::string& program_hash();

// Hash of all a point's result depends on: scenario, trace (its stored SHA-256), model,
// accelerator, calibration files, program. Names the point's file.
std::string point_key(const StudyPoint& point, const std::string& trace_path);

// What a point writes beside its result, and where; "": nothing.
struct PointFiles {
  std::string links;     // every link in every exchange, as a table
  std::string timeline;  // its first step, for ui.perfetto.dev
  TimelineChoice shown;  // of that
};

// One point, in this process: plan, step graphs, replay, checks, ledger. Called by `moesim worker`.
PointResult run_point(const StudyPoint& point,
                      const std::string& trace_path,
                      int threads,
                      const PointFiles& files = {});

// Of a point's result file: beside it, how long planning took on the machine that ran it.
std::string wall_file(const std::string& result_file);

inline constexpr std::size_t kMostDetailed = 1000;  // points; some 30 MB

// The points of one study and where their results lie. Goes with an exception, it takes the empty
// folders along that it has made.
class StudyRun {
 public:
  // Makes the traces and works out the keys. Keeps references to both arguments.
  StudyRun(const Study& study, const RunOptions& options);
  ~StudyRun();
  StudyRun(const StudyRun&) = delete;
  StudyRun& operator=(const StudyRun&) = delete;

  // Writes out/points/<key>.json for points that have none and are free. A worker's failure is
  // thrown on as WorkerFailed after the other workers have ended.
  void compute();
  // Indices of points without a result: other runs have claimed them, or they failed.
  std::vector<std::size_t> lacking() const;
  // Needs all; also writes out/result.json. Of more than kMostDetailed points the value returned
  // lacks what drop_details (sim/result/write_study.h) takes out; the file has it.
  StudyResult collect() const;

 private:
  std::vector<std::size_t> todo() const;

  class EmptyFolders;
  std::unique_ptr<const EmptyFolders> folders_;
  const Study& study_;
  const RunOptions& options_;
  std::vector<std::string> traces_, files_;  // by point
};

// All of it, for a run that is no shard.
StudyResult run_study(const Study& study, const RunOptions& options);

// A worker process failed; it has already said why.
class WorkerFailed : public std::runtime_error {
 public:
  WorkerFailed(const std::string& message, ExitCode code)
      : std::runtime_error(message), exit_code(code) {}
  ExitCode exit_code;
};

}  // namespace moesim
