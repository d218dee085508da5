// Single charts from stored results: a page, a picture, and what is said where one cannot be.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/analysis/sample_study.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

// Two plans at three batches each.
void write_study(const TemporaryFolder& folder) {
  StudyResult study{"sample", "s.json", {}};
  for (int plan = 0; plan < 2; ++plan) {
    for (const int batch : {16, 64, 256}) {
      PointResult point = sample_point({}, plan);
      point.varied.emplace_back("workload.requests_per_rank", std::to_string(batch));
      for (NamedMetric& named : point.metrics)
        named.metric =
            metric_of(named.metric.value * (1 + batch), named.metric.unit, named.metric.basis);
      study.points.push_back(std::move(point));
    }
  }
  write_file(folder / "result.json", to_json(study).dump());
}

bool has(const std::string& program) {
  return test::run_command("command -v " + program + " >/dev/null").code == 0;
}
bool has_node() { return has("node"); }

std::string plot_of(const TemporaryFolder& folder, const std::string& chart) {
  return "plot " + folder.path() + " --chart " + chart;
}

}  // namespace

TEST_CASE("A chart of a study is a page that holds all it needs, and a picture where Node is") {
  const TemporaryFolder folder;
  write_study(folder);
  const Outcome outcome = run_program(plot_of(folder, "throughput_latency"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const std::string page = read_text_file(folder / "charts/throughput_latency.html");
  CHECK(page.find("Throughput against latency") != std::string::npos);
  CHECK(page.find("src=\"http") == std::string::npos);
  REQUIRE(fs::exists(folder / "charts/throughput_latency.svg") == has_node());
  if (!has_node()) return;
  const std::string picture = read_text_file(folder / "charts/throughput_latency.svg");
  CHECK(picture.starts_with("<svg "));
  for (const char* words :
       {"tokens/s per GPU", "time per output token", "contiguous", "eplb", "256 a rank"})
    CHECK_MESSAGE(picture.find(words) != std::string::npos, words);
}

TEST_CASE("The file's end chooses the format") {
  const TemporaryFolder folder;
  write_study(folder);
  const std::string plot = plot_of(folder, "throughput_latency") + " --out ";
  CHECK(run_program(plot + (folder / "a.html")).code == 0);
  CHECK(fs::exists(folder / "a.html"));
  CHECK(run_program(plot + (folder / "a.gif")).code == 2);
  CHECK(folder.entries() == 2);
}

TEST_CASE("A PNG is the SVG at two dots a unit, and needs librsvg's converter") {
  const TemporaryFolder folder;
  write_study(folder);
  const std::string plot = plot_of(folder, "throughput_latency") + " --out " + (folder / "a.png");
  const Outcome without = run_program(plot, "PATH=" + folder.path() + " ");
  CHECK(without.code == 3);
  CHECK(without.output.find("apt-get install librsvg2-bin") != std::string::npos);
  CHECK(!fs::exists(folder / "a.png"));
  if (!has_node() || !has("rsvg-convert")) return;
  REQUIRE(run_program(plot).code == 0);
  const std::string png = read_text_file(folder / "a.png");
  REQUIRE(png.size() > 1000);
  CHECK(png.substr(1, 3) == "PNG");
  const auto number = [&](std::size_t at) {  // big-endian, of the header
    std::size_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i)
      value = 256 * value + static_cast<unsigned char>(png[i]);
    return value;
  };
  CHECK(number(16) == 2 * 900);  // picture.js' default width
}

TEST_CASE("Without Node the page is written, and a picture that was asked for is refused") {
  const TemporaryFolder folder;
  write_study(folder);
  const std::string without = "PATH=" + folder.path() + " ";
  const Outcome both = run_program(plot_of(folder, "throughput_latency"), without);
  INFO(both.output);
  CHECK(both.code == 0);
  CHECK(both.output.find("no SVG") != std::string::npos);
  CHECK(fs::exists(folder / "charts/throughput_latency.html"));
  const Outcome picture =
      run_program(plot_of(folder, "throughput_latency") + " --out " + (folder / "a.svg"), without);
  CHECK(picture.code == 3);
  CHECK(picture.output.find("apt-get install nodejs") != std::string::npos);
  CHECK(!fs::exists(folder / "a.svg"));
}

TEST_CASE("A chart that is none, or has nothing to draw, is refused") {
  const TemporaryFolder folder;
  write_study(folder);
  const Outcome unknown = run_program(plot_of(folder, "crossovr"));
  CHECK(unknown.code == 2);
  CHECK(unknown.output.find("did you mean \"crossover\"") != std::string::npos);
  const Outcome nothing = run_program(plot_of(folder, "crossover"));
  CHECK(nothing.code == 2);
  CHECK(nothing.output.find("has nothing to draw") != std::string::npos);
  CHECK(run_program("plot " + (folder / "none") + " --chart crossover").code == 2);
}
