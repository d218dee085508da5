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
#include <vector>

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

constexpr const char* kNoConverter =
    "PNG is made of SVG by rsvg-convert, which is missing: apt-get install librsvg2-bin, or write "
    ".svg";

// Whether a folder of PATH has the program.
bool is_there(const std::string& program) {
  const char* path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    if (::access((folders.substr(begin, end - begin) + "/" + program).c_str(), X_OK) == 0)
      return true;
    begin = end + 1;
  }
  return false;
}

// Runs a program with files of the folder as its standard streams, errors to "said". MachineError
// with what it said where it fails.
void run_tool(std::vector<std::string> words,
              const ScratchFolder& folder,
              const std::string& in,
              const std::string& out) {
  const std::string input = folder / in, output = folder / out, said = folder / "said";
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, said.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  const int failed =
      posix_spawnp(&process, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw MachineError(words[0] + " does not start");
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0)
    throw MachineError(words[0] + " could not draw the chart: " + read_text_file(said));
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

bool can_draw_svg() { return is_there("node"); }

std::string chart_svg(const nlohmann::json& option) {
  if (!can_draw_svg()) throw MachineError(kNoNode);
  const ScratchFolder folder;
  write_file(folder / "draw.js", std::string(echarts_script()) + "\n" +
                                     std::string(chart_functions()) + "\n" +
                                     std::string(picture_script()));
  write_file(folder / "option.json", option.dump());
  run_tool({"node", folder / "draw.js"}, folder, "option.json", "chart.svg");
  return read_text_file(folder / "chart.svg");
}

std::string chart_png(const nlohmann::json& option) {
  if (!is_there("rsvg-convert")) throw MachineError(kNoConverter);
  const std::string svg = chart_svg(option);
  const ScratchFolder folder;
  write_file(folder / "chart.svg", svg);
  run_tool({"rsvg-convert", "--zoom", "2", "--format", "png"}, folder, "chart.svg", "chart.png");
  return read_text_file(folder / "chart.png");
}

}  // namespace moesim
