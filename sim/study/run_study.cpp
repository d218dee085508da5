// The parent's side: which points are missing, worker processes by exec, the collected result.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "sim/io/files.h"
#include "sim/result/write_study.h"
#include "sim/study/claims.h"
#include "sim/study/point_words.h"
#include "sim/study/study.h"
#include "sim/study/worker_pool.h"

namespace moesim {
namespace {

// What the run wants beside a point's result file.
PointFiles beside(const std::string& file, const RunOptions& options) {
  const auto with = [&](const char* extension) {
    return std::filesystem::path(file).replace_extension(extension).string();
  };
  PointFiles files;
  if (options.links) files.links = with(".links.csv");
  if (options.timeline) {
    files.timeline = with(".timeline.json");
    files.shown = *options.timeline;
  }
  return files;
}

// A point alone has the cores that others would have; more than a few threads only cost memory.
int threads_of_worker(const Study& study, const RunOptions& options) {
  const int most = static_cast<int>(std::min<std::size_t>(study.points.size(), 8));
  const int side_by_side = std::clamp(options.jobs, 1, most);
  return side_by_side == 1 ? std::clamp(options.jobs, 2, 8)
                           : std::clamp(options.jobs / side_by_side, 1, 8);
}

std::vector<std::string> worker_command(const Study& study, const RunOptions& options) {
  std::vector<std::string> words{"worker", study.file, "--threads",
                                 std::to_string(threads_of_worker(study, options))};
  for (const std::string& override_text : options.overrides) {
    words.emplace_back("--set");
    words.push_back(override_text);
  }
  return words;
}

// The worker's exit code as ours; a worker that a signal ended has failed its run.
ExitCode exit_code_of(int status) {
  if (!WIFEXITED(status)) return ExitCode::check_failed;
  const int code = WEXITSTATUS(status);
  return code >= 0 && code <= 3 ? static_cast<ExitCode>(code) : ExitCode::check_failed;
}

// The result kept from an earlier run; none when there is none or it is no whole result.
std::optional<PointResult> stored_point(const std::string& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const nlohmann::json json = nlohmann::json::parse(read_text_file(file), nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  try {
    return point_result_from_json(json);
  } catch (const InputError&) {
    return std::nullopt;
  }
}

// Whether a run has to compute the point.
bool lacks_result(const std::string& file, const RunOptions& options) {
  const auto stored = stored_point(file);
  if (!stored || !stored->ran) return !stored;
  const PointFiles wanted = beside(file, options);
  const auto lacks = [](const std::string& one) {
    return !one.empty() && !std::filesystem::exists(one);
  };
  // Another choice of ranks or layers makes another timeline; runs that share the points made the
  // same choice.
  const bool shared = options.shard.has_value();
  return lacks(wanted.links) || (shared ? lacks(wanted.timeline) : !wanted.timeline.empty());
}

// Hands the points out, `jobs` at a time; goes on after a failure so that the other points are
// kept.
class Computation {
 public:
  Computation(const Study& study, const RunOptions& options)
      : options_(options),
        pool_(worker_command(study, options), static_cast<std::size_t>(options.jobs)) {}

  void run(const std::vector<PointWork>& todo) {
    begin_ = std::chrono::steady_clock::now();
    total_ = todo.size();
    for (const PointWork& work : todo) {
      while (pool_.full()) wait();
      if (!claim(work)) continue;
      running_[work.point] = work.file;
      pool_.start(work);
    }
    while (pool_.busy() > 0) wait();
    if (!failed_.empty()) fail();
  }

 private:
  // Another run may have finished the point since this one looked, so look again once it is ours.
  bool claim(const PointWork& work) {
    if (!options_.shard) return true;
    if (claims_.take(work.file)) {
      if (lacks_result(work.file, options_)) return true;
      claims_.give_back(work.file);
    }
    --total_;
    return false;
  }

  void wait() {
    const auto ended = pool_.wait(std::chrono::milliseconds(1000));
    claims_.renew();
    if (ended) {
      if (ended->status != 0) failed_.emplace_back(ended->point, ended->status);
      claims_.give_back(running_[ended->point]);
      running_.erase(ended->point);
      ++done_;
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin_;
    options_.progress({done_, total_, taken.count()});
  }

  [[noreturn]] void fail() const {
    const auto [point, status] = *std::min_element(failed_.begin(), failed_.end());
    const std::string how =
        WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status)) : "failed";
    throw WorkerFailed(fmt::format("{} of {} points failed; the first, point {}, {}",
                                   failed_.size(), total_, point + 1, how),
                       exit_code_of(status));
  }

  const RunOptions& options_;
  WorkerPool pool_;
  Claims claims_;
  std::chrono::steady_clock::time_point begin_;
  std::size_t done_ = 0, total_ = 0;
  std::map<std::size_t, std::string> running_;       // point -> file
  std::vector<std::pair<std::size_t, int>> failed_;  // point, status
};

// Forward passes and draws that points share are looked up once, not once a point.
class Traces {
 public:
  explicit Traces(const RunOptions& options) : options_(options) {}

  std::string prepare(const TraceSource& source) {
    for (const auto& [known, path] : known_)
      if (known == source) return path;
    known_.emplace_back(source, prepare_trace(source, options_.out + "/traces", options_));
    return known_.back().second;
  }

 private:
  const RunOptions& options_;
  std::vector<std::pair<TraceSource, std::string>> known_;
};

}  // namespace

std::string wall_file(const std::string& result_file) {
  return std::filesystem::path(result_file).replace_extension(".wall.json").string();
}

// A run that fails before its first result leaves none of the folders it has made. Nothing is taken
// away from one that goes on: others may be about to write there.
class StudyRun::EmptyFolders {
 public:
  explicit EmptyFolders(const std::string& out) {
    for (const std::string& folder : {out + "/points", out + "/traces", out})
      if (!std::filesystem::exists(folder)) made_.push_back(folder);
  }
  EmptyFolders(const EmptyFolders&) = delete;
  EmptyFolders& operator=(const EmptyFolders&) = delete;
  ~EmptyFolders() {
    if (std::uncaught_exceptions() == 0) return;
    std::error_code ignored;  // a folder that holds something stays
    for (const std::string& folder : made_) std::filesystem::remove(folder, ignored);
  }

 private:
  std::vector<std::string> made_;
};

StudyRun::StudyRun(const Study& study, const RunOptions& options)
    : folders_(std::make_unique<const EmptyFolders>(options.out)),
      study_(study),
      options_(options) {
  make_folder(options.out + "/points");
  Traces traces(options);
  for (const StudyPoint& point : study.points) {
    traces_.push_back(traces.prepare(point.scenario.trace));
    files_.push_back(options.out + "/points/" + point_key(point, traces_.back()) + ".json");
  }
}

// In the order to compute them: of a shard its own first.
std::vector<std::size_t> StudyRun::todo() const {
  const Shard shard = options_.shard.value_or(Shard{});
  std::vector<std::size_t> order;
  std::set<std::string> planned;
  for (std::size_t turn = 0; turn < shard.count; ++turn) {
    for (std::size_t i = (shard.index - 1 + turn) % shard.count; i < files_.size();
         i += shard.count) {
      if (planned.insert(files_[i]).second && lacks_result(files_[i], options_)) order.push_back(i);
    }
  }
  return order;
}

StudyRun::~StudyRun() = default;

void StudyRun::compute() {
  make_folder(options_.out + "/points");
  std::vector<PointWork> works;
  for (const std::size_t i : todo())
    works.push_back({study_.numbers.empty() ? i : study_.numbers[i], traces_[i], files_[i],
                     beside(files_[i], options_)});
  Computation(study_, options_).run(works);
}

std::vector<std::size_t> StudyRun::lacking() const {
  std::vector<std::size_t> points;
  for (std::size_t i = 0; i < files_.size(); ++i)
    if (!stored_point(files_[i])) points.push_back(i);
  return points;
}

StudyResult StudyRun::collect() const {
  StudyResult result{study_.name, study_.file, {}};
  const bool large = files_.size() > kMostDetailed;
  write_study(options_.out + "/result.json", result, files_.size(), [&](std::size_t i) {
    auto point = stored_point(files_[i]);
    if (!point) throw CheckError("a worker ended well but left no result in " + files_[i]);
    // Kept from a study that spelled it otherwise, a point is still this study's.
    point->varied = study_.points[i].varied;
    point->label = point_label(study_.points[i]);
    result.points.push_back(*point);
    if (large) drop_details(result.points.back());
    return std::move(*point);
  });
  return result;
}

StudyResult run_study(const Study& study, const RunOptions& options) {
  StudyRun run(study, options);
  run.compute();
  return run.collect();
}

}  // namespace moesim
