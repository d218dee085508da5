// Pages of one chart, and Node as a drawing machine.
#include "analysis/report/chart_picture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "analysis/metrics/metric_text.h"
#include "analysis/report/page.h"
#include "analysis/report/page_assets.h"
#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/scratch_folder.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoNode =
    "SVG is drawn by Node.js, which is missing: apt-get install nodejs, or write .html";

// Runs `node script` with the three files as its standard streams; the exit status as of waitpid.
// ENOENT where there is no node.
int run_node(const ScratchFolder& folder) {
  const std::string script = folder / "draw.js", in = folder / "option.json",
                    out = folder / "chart.svg", said = folder / "said";
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, said.c_str(), O_WRONLY | O_CREAT, 0600);
  std::string node = "node", path = script;
  char* arguments[] = {node.data(), path.data(), nullptr};
  pid_t process = 0;
  const int failed = posix_spawnp(&process, "node", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw MachineError(kNoNode);
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

}  // namespace

std::string chart_page(const StudyResult& study,
                       const ChartPart& part,
                       const nlohmann::json& option) {
  PageSection section;
  section.title = part.title;
  section.caption = part.question;
  section.chart = option;
  return html_page(study.name, weakest_basis_text(study), {section});
}

bool can_draw_svg() {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "" : path;
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    if (::access((folders.substr(begin, end - begin) + "/node").c_str(), X_OK) == 0) return true;
    begin = end + 1;
  }
  return false;
}

std::string chart_svg(const nlohmann::json& option) {
  if (!can_draw_svg()) throw MachineError(kNoNode);
  const ScratchFolder folder;
  write_file(folder / "draw.js", std::string(echarts_script()) + "\n" +
                                     std::string(chart_functions()) + "\n" +
                                     std::string(picture_script()));
  write_file(folder / "option.json", option.dump());
  if (run_node(folder) != 0)
    throw MachineError("Node.js could not draw the chart: " + read_text_file(folder / "said"));
  return read_text_file(folder / "chart.svg");
}

}  // namespace moesim
