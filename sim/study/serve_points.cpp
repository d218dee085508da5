// The worker's side: one forked process a point.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>

#include "sim/io/files.h"
#include "sim/io/kept_json.h"
#include "sim/scenario/study_reader.h"
#include "sim/study/study.h"
#include "sim/study/worker_pool.h"

namespace moesim {
namespace {

// The next line from the channel; empty when it is closed.
std::string next_line(int channel, std::string& buffer) {
  for (;;) {
    if (const auto end = buffer.find('\n'); end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> part{};
    const ssize_t size = ::read(channel, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return "";
    buffer.append(part.data(), static_cast<std::size_t>(size));
  }
}

PointWork read_work(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) throw InputError("a worker reads points from run, one JSON object a line");
  PointWork work{json.value("point", std::size_t{0}), json.value("trace", ""),
                 json.value("out", "")};
  work.beside.links = json.value("links", "");
  work.beside.timeline = json.value("timeline", "");
  TimelineChoice& shown = work.beside.shown;
  shown.ranks = json.value("ranks", shown.ranks);
  std::tie(shown.first_layer, shown.last_layer) =
      json.value("layers", std::pair(shown.first_layer, shown.last_layer));
  return work;
}

// Of this process, from now on. Memory comes in huge pages only where the environment asks for them
// too (worker_pool.cpp). What cannot be set stays as it is: it is a matter of speed.
void huge_pages(bool on) { ::prctl(PR_SET_THP_DISABLE, on ? 0 : 1, 0, 0, 0); }

// With fewer ranks a point costs less than the huge pages that it would begin.
constexpr int kRanksForHugePages = 128;

void run_work(const StudyReader& study, const PointWork& work, int threads) {
  if (work.point >= study.size()) {
    throw InputError("point " + std::to_string(work.point) + ": the study has " +
                     std::to_string(study.size()) + " points, counted from 0");
  }
  const StudyPoint point = study.point(work.point);
  huge_pages(point.scenario.plan.parallelism.ranks >= kRanksForHugePages);
  const PointResult result = run_point(point, work.trace, threads, work.beside);
  if (std::filesystem::path(work.file).stem() != result.key)
    throw InputError("the scenario, or a file it names, has changed while the study ran");
  if (!result.windows.empty())  // times of this machine stay out of results
    write_file(wall_file(work.file),
               nlohmann::json{{"planning_seconds", result.planning_seconds}}.dump(1) + "\n");
  write_file(work.file, to_json(result).dump(1) + "\n");
}

}  // namespace

void serve_points(const std::string& scenario,
                  const std::vector<std::string>& overrides,
                  int threads,
                  int channel) {
  huge_pages(false);  // what processes share would be copied by the huge page
  const StudyReader study(scenario, overrides, Outside::allowed);  // run has checked it
  // Once here, not again in every process; all threads have ended when a point's is forked.
  std::future<void> hashed = std::async(std::launch::async, [] { program_hash(); });
  keep_json_files(data_path("topologies/calibration"));
  hashed.get();
  std::string buffer;
  for (std::string line; !(line = next_line(channel, buffer)).empty();) {
    const PointWork work = read_work(line);
    const pid_t process = ::fork();
    if (process < 0) throw MachineError("cannot start a process for a point");
    if (process == 0) {
      ::close(channel);
      run_work(study, work, threads);
      ::_exit(0);  // the result is on disk; taking all down in order takes as long as a small point
    }
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
    const std::string answer = std::to_string(status) + "\n";
    if (::send(channel, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;  // run has gone
  }
}

}  // namespace moesim
