// Progress of a run, as words and as a bar.
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

namespace moesim {
namespace {

constexpr std::size_t kBar = 30;     // characters
constexpr std::size_t kLines = 100;  // of a run that is no terminal's

std::string time_text(double seconds) {
  const auto whole = std::lround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

void show_bar(const RunProgress& progress) {
  const bool colour = wants_colour(STDERR_FILENO);
  const std::size_t filled = kBar * progress.done / progress.total;
  std::string bar = std::string(filled, '=') + std::string(kBar - filled, ' ');
  if (colour) bar.insert(filled, "\x1b[0m").insert(0, "\x1b[36m");
  fmt::print(stderr, "\r  [{}] {}\x1b[K{}", bar, progress_text(progress),
             progress.done == progress.total ? "\n" : "");
  std::fflush(stderr);
}

// The line count of a run stays bounded: a point's line is left out until another hundredth is
// done.
bool has_line(const RunProgress& progress) {
  return progress.total <= kLines || progress.done == progress.total ||
         progress.done * kLines / progress.total != (progress.done - 1) * kLines / progress.total;
}

void show_line(const RunProgress& progress) {
  if (has_line(progress))
    fmt::print(stderr, "  point {} of {} done{}\n", progress.done, progress.total,
               progress.total <= kLines ? "" : " (" + progress_text(progress) + ")");
}

}  // namespace

int jobs_or_cores(int wanted) {
  return wanted > 0 ? wanted : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

bool wants_colour(int descriptor) {
  const char* no_colour = std::getenv("NO_COLOR");
  return ::isatty(descriptor) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

std::string progress_text(const RunProgress& progress) {
  std::string text = fmt::format("{} of {} points", progress.done, progress.total);
  if (progress.done == 0 || progress.seconds <= 0) return text;
  const double rate = static_cast<double>(progress.done) / progress.seconds;
  text += fmt::format(", {:.3g}/s", rate);
  if (progress.done < progress.total)
    text += ", " + time_text(static_cast<double>(progress.total - progress.done) / rate) + " left";
  return text;
}

void show_progress(RunOptions& options) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  options.say = [](const std::string& line) { fmt::print(stderr, "  {}\n", line); };
  options.progress = [terminal,
                      last = std::make_shared<std::size_t>(0)](const RunProgress& progress) {
    if (progress.total == 0) return;
    if (terminal)
      show_bar(progress);
    else if (progress.done != *last)
      show_line(progress);
    *last = progress.done;
  };
}

}  // namespace moesim
