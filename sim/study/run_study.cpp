// The parent's side: which points are missing, worker processes by exec, the collected result.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "sim/io/files.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

struct Work {
  std::size_t point = 0;
  std::string trace, file;
};

// Of a point's result file: beside it.
std::string links_file(const std::string& file) {
  return std::filesystem::path(file).replace_extension(".links.csv").string();
}

pid_t start_worker(const Study& study, const Work& work, const RunOptions& options) {
  std::vector<std::string> words{
      "moesim",   "worker", study.file, "--point",   std::to_string(work.point),  "--trace",
      work.trace, "--out",  work.file,  "--threads", options.jobs > 1 ? "1" : "2"};
  if (options.links) words.insert(words.end(), {"--links", links_file(work.file)});
  for (const std::string& override_text : options.overrides) {
    words.emplace_back("--set");
    words.push_back(override_text);
  }
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  if (posix_spawn(&process, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0) {
    throw MachineError("cannot start a worker process");
  }
  return process;
}

// The worker's exit code as ours; a worker that a signal ended has failed its run.
ExitCode exit_code_of(int status) {
  if (!WIFEXITED(status)) return ExitCode::check_failed;
  const int code = WEXITSTATUS(status);
  return code >= 0 && code <= 3 ? static_cast<ExitCode>(code) : ExitCode::check_failed;
}

// Runs all work, `jobs` at a time; goes on after a failure so that the other points are kept.
void run_workers(const Study& study, const std::vector<Work>& todo, const RunOptions& options) {
  std::map<pid_t, std::size_t> running;
  std::size_t next = 0;
  std::size_t done = 0;
  std::vector<std::pair<std::size_t, int>> failed;  // point, status
  while (next < todo.size() || !running.empty()) {
    while (next < todo.size() &&
           running.size() < static_cast<std::size_t>(std::max(options.jobs, 1))) {
      running[start_worker(study, todo[next], options)] = todo[next].point;
      ++next;
    }
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    const auto worker = running.find(ended);
    if (worker == running.end()) continue;
    if (status != 0) failed.emplace_back(worker->second, status);
    running.erase(worker);
    options.say(fmt::format("point {} of {} done", ++done, todo.size()));
  }
  if (failed.empty()) return;
  const auto [point, status] = *std::min_element(failed.begin(), failed.end());
  const std::string how =
      WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status)) : "failed";
  throw WorkerFailed(fmt::format("{} of {} points failed; the first, point {}, {}", failed.size(),
                                 todo.size(), point + 1, how),
                     exit_code_of(status));
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

// A run that fails before its first result leaves none of the folders it has made.
class EmptyFolders {
 public:
  explicit EmptyFolders(const std::string& out) {
    for (const std::string& folder : {out + "/points", out + "/traces", out})
      if (!std::filesystem::exists(folder)) made_.push_back(folder);
  }
  EmptyFolders(const EmptyFolders&) = delete;
  EmptyFolders& operator=(const EmptyFolders&) = delete;
  ~EmptyFolders() {
    std::error_code ignored;  // a folder that holds something stays
    for (const std::string& folder : made_) std::filesystem::remove(folder, ignored);
  }

 private:
  std::vector<std::string> made_;
};

}  // namespace

std::string wall_file(const std::string& result_file) {
  return std::filesystem::path(result_file).replace_extension(".wall.json").string();
}

StudyResult run_study(const Study& study, const RunOptions& options) {
  const EmptyFolders leaves_none(options.out);
  make_folder(options.out + "/points");
  std::vector<Work> todo;
  std::vector<std::string> files;
  std::set<std::string> planned;
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    const StudyPoint& point = study.points[i];
    const std::string trace = prepare_trace(point.scenario.trace, options.out + "/traces", options);
    files.push_back(options.out + "/points/" + point_key(point, trace) + ".json");
    const auto stored = stored_point(files.back());
    const bool table_missing = options.links && stored && stored->ran &&
                               !std::filesystem::exists(links_file(files.back()));
    if ((table_missing || !stored) && planned.insert(files.back()).second) {
      todo.push_back({i, trace, files.back()});
    }
  }
  run_workers(study, todo, options);
  StudyResult result{study.name, study.file, {}};
  for (const std::string& file : files) {
    auto point = stored_point(file);
    if (!point) throw CheckError("a worker ended well but left no result in " + file);
    result.points.push_back(std::move(*point));
  }
  write_file(options.out + "/result.json", to_json(result).dump(1) + "\n");
  return result;
}

}  // namespace moesim
