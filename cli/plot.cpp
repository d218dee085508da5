// moesim plot: one chart of a study that has run, as a page, as SVG or as PNG.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/analysis.h"
#include "analysis/charts/measured_marks.h"
#include "analysis/compare/repeats.h"
#include "analysis/report/chart_picture.h"
#include "cli/commands.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

struct PlotArguments {
  std::string study, chart, measured, out;
};

StudyResult read_study(const std::string& path) {
  const std::string file = std::filesystem::is_directory(path) ? path + "/result.json" : path;
  const nlohmann::json json = nlohmann::json::parse(read_text_file(file), nullptr, false);
  if (json.is_discarded())
    throw InputError({file}, "is no result; give the folder that moesim run has written");
  try {
    return study_result_from_json(json);
  } catch (const InputError& error) {
    throw InputError({file}, error.what());
  }
}

ChartPart find_chart(const std::string& name) {
  const auto& catalog = Catalog<ChartPart>::instance();
  const auto found = catalog.entries().find(name);
  if (found != catalog.entries().end()) return found->second.part;
  throw InputError("--chart: unknown chart \"" + name + "\"" + name_help(name, catalog.names()));
}

void write(const std::string& file, const std::string& picture) {
  write_file(file, picture);
  fmt::print("wrote {}\n", file);
}

void plot(const PlotArguments& arguments) {
  const ChartPart part = find_chart(arguments.chart);
  const StudyResult study = mean_of_repeats(read_study(arguments.study));
  nlohmann::json option = study.points.empty() ? nlohmann::json() : part.option(study);
  if (option.is_null())
    throw InputError(fmt::format("--chart {}: the study {} has nothing to draw for it: {}",
                                 arguments.chart, arguments.study, part.question));
  if (!arguments.measured.empty()) add_measured_marks(arguments.measured, option);
  const std::string& out = arguments.out;
  if (out.ends_with(".svg")) return write(out, chart_svg(option));
  if (out.ends_with(".png")) return write(out, chart_png(option));
  if (out.ends_with(".html")) return write(out, chart_page(study, part, option));
  if (!out.empty()) throw InputError("--out " + out + ": must end in .html, .svg or .png");
  const std::filesystem::path of(arguments.study);
  const auto folder = std::filesystem::is_directory(of) ? of : of.parent_path();
  make_folder((folder / "charts").string());
  const std::string stem = (folder / "charts" / arguments.chart).string();
  write(stem + ".html", chart_page(study, part, option));
  if (can_draw_svg()) return write(stem + ".svg", chart_svg(option));
  fmt::print("no SVG: Node.js draws it, and is missing (apt-get install nodejs)\n");
}

void add_plot(CLI::App& command) {
  const auto arguments = std::make_shared<PlotArguments>();
  command.add_option("study", arguments->study, "folder of a study's results, or its result.json")
      ->required();
  command.add_option("--chart", arguments->chart, "chart; moesim list charts names them")
      ->required();
  command.add_option("--measured", arguments->measured,
                     "CSV of measured points to draw beside the curves: series,x,y, times with "
                     "their unit");
  command.add_option(
      "--out", arguments->out,
      "file to write, .html, .svg or .png (default: the first two, as charts/<chart> "
      "in the study's folder)");
  command.footer("Example: moesim plot out/first_run --chart step_time_breakdown");
  command.callback([arguments] { plot(*arguments); });
}

const Registered<Command> registered{
    "plot", "Draw one chart of a study's results as a page, SVG or PNG", {add_plot}};

}  // namespace
}  // namespace moesim
