// Opens the pages the program writes in Debian's Chromium: no console error, every chart drew
// something, a click on a head sorts. A probe is put into a copy of the page; the page itself knows
// nothing of tests.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

constexpr const char* kListen = R"(<script>
  window.probe = {errors: []};
  window.addEventListener('error', (event) => probe.errors.push(String(event.message)));
  console.error = (...words) => probe.errors.push(words.join(' '));
</script>)";

// For every chart the number of points of its canvases that are neither clear nor white; then a
// click on each head of the first sortable table, with the order of the rows before and after.
constexpr const char* kReport = R"(<script>
  probe.options = document.querySelectorAll('script.option').length;
  probe.drawn = [...document.querySelectorAll('[_echarts_instance_]')].map((chart) => {
    let drawn = 0;  // over the chart's layers
    for (const canvas of chart.querySelectorAll('canvas')) {
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 0 && (data[i] < 250 || data[i + 1] < 250 || data[i + 2] < 250)) ++drawn;
    }
    return drawn;
  });
  const table = document.querySelector('table.sortable');
  if (table) {
    const labels = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
    const button = table.tHead.rows[0].cells[0].querySelector('button');
    button.click();
    probe.rising = labels();
    button.click();
    probe.falling = labels();
  }
  probe.network = performance.getEntriesByType('resource').length;
  const out = document.createElement('pre');
  out.id = 'probe';
  out.textContent = 'PROBE' + JSON.stringify(probe) + 'EBORP';
  document.body.append(out);
</script>)";

nlohmann::json probe_page(const std::string& path) {
  std::string page = read_text_file(path);
  page.insert(page.find("<head>") + 6, kListen);
  page.insert(page.rfind("</body>"), kReport);
  const std::string probed = path + ".probe.html";
  write_file(probed, page);
  const std::string command =
      "command -v chromium >/dev/null || { echo 'no chromium: apt-get install chromium'; exit 3; "
      "}; "
      "HOME=$(mktemp -d) timeout 120 chromium --headless --no-sandbox --disable-gpu "
      "--disable-dev-shm-usage "
      "--virtual-time-budget=5000 --dump-dom 'file://" +
      probed + "' 2>/dev/null";
  const Outcome outcome = moesim::test::run_command(command);
  REQUIRE_MESSAGE(outcome.code == 0, outcome.output.substr(0, 500));
  const auto begin = outcome.output.find("PROBE{");
  const auto end = outcome.output.rfind("EBORP");
  REQUIRE_MESSAGE(begin != std::string::npos, "the page's scripts did not run to their end");
  // The DOM is printed with entities in text; JSON of the probe holds no other than these.
  std::string text = outcome.output.substr(begin + 5, end - begin - 5);
  for (std::size_t at = 0; (at = text.find("&gt;", at)) != std::string::npos;)
    text.replace(at, 4, ">");
  return nlohmann::json::parse(text);
}

void check_drawn(const nlohmann::json& probe, std::size_t least_charts) {
  INFO(probe.dump());
  CHECK(probe.at("errors").empty());
  CHECK(probe.at("network") == 0);  // self-contained: nothing else is loaded
  CHECK(probe.at("drawn").size() == probe.at("options").get<std::size_t>());
  CHECK(probe.at("drawn").size() >= least_charts);
  for (const auto& points : probe.at("drawn")) CHECK(points.get<long>() > 500);
}

}  // namespace

TEST_CASE(
    "The report's charts all draw in Chromium, without a console error, and its table sorts") {
  const TemporaryFolder folder;
  REQUIRE(run_program("run " + kFirstRun + " --out " + (folder / "out")).code == 0);
  const nlohmann::json probe = probe_page(folder / "out/report.html");
  check_drawn(probe, 4);  // at least load, step time, memory and links
  CHECK(probe.at("rising") == nlohmann::json::parse(R"(["contiguous", "eplb"])"));
  CHECK(probe.at("falling") == nlohmann::json::parse(R"(["eplb", "contiguous"])"));
}

TEST_CASE("The report of a plan that does not fit memory opens too") {
  const TemporaryFolder folder;
  REQUIRE(run_program("run " + kFirstRun + " --out " + (folder / "out") +
                      " --set workload.context=2000000")
              .code == 0);
  check_drawn(probe_page(folder / "out/report.html"), 1);  // the memory stack
}

TEST_CASE("The charts of a trace all draw in Chromium") {
  const TemporaryFolder folder;
  REQUIRE(run_program("trace forward --tokens 512 --out " + (folder / "t.safetensors")).code == 0);
  REQUIRE(
      run_program("trace stats " + (folder / "t.safetensors") + " --chart " + (folder / "t.html"))
          .code == 0);
  check_drawn(probe_page(folder / "t.html"), 2);
}
