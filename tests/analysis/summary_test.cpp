// The terminal summary and the CSV table of a study made by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "analysis/analysis.h"
#include "analysis/report/text_table.h"
#include "tests/analysis/sample_study.h"

namespace moesim {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Cells of an RFC 4180 text.
std::vector<std::vector<std::string>> parsed(const std::string& csv) {
  std::vector<std::vector<std::string>> rows{{""}};
  bool in_quotes = false;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    const bool doubled = in_quotes && csv[i] == '"' && i + 1 < csv.size() && csv[i + 1] == '"';
    if (doubled) {
      rows.back().back() += csv[++i];
    } else if (csv[i] == '"') {
      in_quotes = !in_quotes;
    } else if (csv[i] == ',' && !in_quotes) {
      rows.back().emplace_back();
    } else if (csv[i] == '\n' && !in_quotes) {
      rows.push_back({""});
    } else if (csv[i] != '\r' || in_quotes) {
      rows.back().back() += csv[i];
    }
  }
  rows.pop_back();
  return rows;
}

TEST_CASE("the summary says who wins, why, and what it rests on") {
  const std::string text = terminal_summary(sample_study(), false);
  CHECK(contains(text, "Which placement is <best> on 2 nodes?\n"));
  CHECK(contains(text,
                 "gpt-oss-20b, routed by reference, on 2 x 8 H100: decode, 16 ranks, 4 steps, "
                 "fidelity bound\n"));
  CHECK(contains(text, "eplb is 1.27x faster than contiguous: 1.50 ms against 1.90 ms a step"));
  CHECK(contains(text, "Their bands overlap (1.20 ms to 1.80 ms against 1.52 ms to 2.28 ms)"));
  CHECK(contains(text,
                 "Weakest basis: datasheet; a figure that rests on it is typically off by up "
                 "to 50 %."));
  CHECK(contains(text, "4 of 4 checks passed"));
  CHECK(contains(text, "- Routed by the reference model"));
  CHECK_FALSE(contains(text, "\x1b["));
}

TEST_CASE("a plan's line holds its figures and its straggler") {
  std::istringstream lines(terminal_summary(sample_study(), false));
  std::string line;
  while (std::getline(lines, line) && line.rfind("contiguous ", 0) != 0) {
  }
  CHECK(line ==
        "contiguous    1.90 ms    200 us   300 us  1.40 ms         0.500  32.5 GiB  rank 5: expert "
        "FFN: expert 17 of");
}

TEST_CASE("no line of the summary is wider than 120 columns") {
  StudyResult study = sample_study({16, 32, 8, 12});
  study.points[3].label = "plan.placement=co_activation plan.all_to_all=deepep_low_latency";
  study.points.push_back(sample_point_out_of_memory());
  study.points[0].notes.push_back(std::string(400, 'x'));
  std::istringstream lines(terminal_summary(study, false));
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 120);
  }
}

TEST_CASE("a plan that does not fit shows its verdict, a broken law is shouted") {
  StudyResult study = sample_study();
  study.points.push_back(sample_point_out_of_memory());
  study.points[1].checks[0].passed = false;
  const std::string text = terminal_summary(study, false);
  CHECK(contains(text, "did not run: rank 7 lacks"));
  CHECK(contains(text, "-4.00 GiB"));
  CHECK(contains(text, "3 of 4 checks passed.\n  FAILED, contiguous: every byte sent is received"));
}

TEST_CASE("colour only adds escapes") {
  std::string colourful = terminal_summary(sample_study(), true);
  CHECK(contains(colourful, "\x1b[32m"));
  for (const std::string code : {"\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[0m"})
    for (auto at = colourful.find(code); at != std::string::npos; at = colourful.find(code))
      colourful.erase(at, code.size());
  CHECK(colourful == terminal_summary(sample_study(), false));
}

TEST_CASE("words wrap at blanks, long words anywhere, letters beyond ASCII count once") {
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("abcdefgh", 3) == std::vector<std::string>{"abc", "def", "gh"});
  CHECK(wrapped("", 5) == std::vector<std::string>{""});
  CHECK(wrapped("ä ö ü", 3) == std::vector<std::string>{"ä ö", "ü"});
  CHECK(text_table({{"a", 5, false}, {"b", 5, true}}, {{"µs", "1"}, {"us", "22"}}) ==
        "a    b\n------\nµs   1\nus  22\n");
}

TEST_CASE("the CSV table has one row a point and reads back exactly") {
  StudyResult study = sample_study();
  study.points[0].label = "eplb, \"hot\"";
  study.points.push_back(sample_point_out_of_memory());
  const auto rows = parsed(study_csv(study));
  REQUIRE(rows.size() == 4);
  for (const auto& row : rows) CHECK(row.size() == rows[0].size());
  const auto cell = [&rows](std::size_t row, const std::string& column) {
    const auto found = std::find(rows[0].begin(), rows[0].end(), column);
    REQUIRE_MESSAGE(found != rows[0].end(), column);
    return rows[row][static_cast<std::size_t>(found - rows[0].begin())];
  };
  CHECK(cell(1, "label") == "eplb, \"hot\"");
  CHECK(cell(1, "plan.placement") == "eplb");
  CHECK(std::stod(cell(2, "step_time (s)")) == study.points[1].metrics[0].metric.value);
  CHECK(std::stod(cell(2, "step_time (s) high")) == study.points[1].metrics[0].metric.high);
  CHECK(cell(2, "step_time (s) basis") == "calibrated");
  CHECK(std::stod(cell(2, "part expert_ffn (s)")) == 800e-6);
  CHECK(cell(1, "seed") == "18446744073709551615");
  CHECK(cell(1, "input trace") == "ab12");
  CHECK(std::stod(cell(1, "memory_left (B)")) == 32.5 * kSampleGiB);
  CHECK(cell(3, "ran") == "false");
  CHECK(cell(3, "step_time (s)").empty());
  CHECK(cell(3, "memory_verdict") == "rank 7 lacks 4 GiB for the KV cache");
}

TEST_CASE("CSV lines end as RFC 4180 asks") {
  const std::string csv = study_csv(sample_study());
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 3);
  for (std::size_t i = 0; i < csv.size(); ++i)
    if (csv[i] == '\n') CHECK(csv[i - 1] == '\r');
}

}  // namespace
}  // namespace moesim
