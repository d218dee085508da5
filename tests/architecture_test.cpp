// The architecture as tests: which folder may include what, and how long files and functions may
// be. docs/architecture.md says why; whoever changes a rule there changes it here.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/source_tree.h"

namespace {

using namespace moesim::test;  // NOLINT(google-build-using-namespace)

const std::vector<Source>& code() {
  static const std::vector<Source> sources = read_sources({".h", ".cpp"});
  return sources;
}

// What each folder (or one file of it: the longest match counts) may include of ours besides
// itself; sim/core and sim/io serve all but sim/core. The stored result knows no stage, so that
// analysis, which reads it, knows none either. `plan` and `cost` describe each other's values, so
// both name the other; files never form a cycle.
const std::map<std::string, std::vector<std::string>>& allowed_folders() {
  static const std::map<std::string, std::vector<std::string>> allowed{
      {"sim/core", {}},
      {"sim/io", {}},
      {"sim/cluster", {}},
      {"sim/model", {}},
      {"sim/trace", {}},
      {"sim/plan", {"sim/cluster", "sim/model", "sim/trace", "sim/cost"}},
      {"sim/cost", {"sim/cluster", "sim/model", "sim/plan"}},
      {"sim/memory", {"sim/cluster", "sim/model", "sim/plan"}},
      {"sim/train", {"sim/cluster", "sim/model", "sim/plan", "sim/cost", "sim/memory"}},
      {"sim/replay", {"sim/cluster", "sim/plan"}},
      {"sim/result", {"sim/cluster", "sim/model", "sim/plan", "sim/memory", "sim/replay"}},
      {"sim/result/result.h", {}},
      {"sim/result/result_fields.h", {"sim/result/result.h"}},
      {"sim/result/result_json.cpp", {"sim/result/result.h", "sim/result/result_fields.h"}},
      {"sim/scenario",
       {"sim/cluster", "sim/model", "sim/trace", "sim/plan", "sim/replay", "sim/cost",
        "sim/train"}},
      {"sim/study", {"sim", "workloads/forward", "workloads/traces"}},
      {"sim/library", {"sim/scenario", "sim/study", "sim/result"}},
      {"sim/validate",
       {"sim/cluster", "sim/plan", "sim/model", "sim/memory", "sim/replay", "sim/cost", "sim/train",
        "workloads/traces"}},
      {"sim/calibrate", {"sim/cluster", "sim/plan", "sim/validate"}},
      {"topologies", {"sim/cluster"}},
      {"workloads", {"sim/model", "sim/trace"}},
      {"workloads/forward", {"sim/model", "sim/trace", "workloads"}},
      {"workloads/traces", {"sim/model", "sim/trace", "sim/plan/batch.h", "workloads"}},
      {"analysis", {"sim/result/result.h", "sim/trace"}},
      // A picture of a fabric is drawn from the fabric: no result holds one.
      {"analysis/topology", {"analysis", "sim/cluster"}},
      // An error is of a prediction and a record, which no result holds.
      {"analysis/validation", {"analysis", "sim/validate"}},
      // An estimate is of a plan alone: no run, no result.
      {"analysis/memory", {"analysis", "sim/memory"}},
      {"cli", {"sim", "topologies", "workloads", "analysis"}},
      {"bench", {"sim", "topologies", "workloads", "analysis", "tests"}},
      {"tests", {"sim", "topologies", "workloads", "analysis", "cli"}},
  };
  return allowed;
}

// The libraries that only some folders may name, by what their headers begin with.
struct LibraryRule {
  std::vector<std::string> headers;
  std::vector<std::string> folders;
};
const std::vector<LibraryRule>& library_rules() {
  static const std::vector<LibraryRule> rules{
      {{"simgrid", "xbt"}, {"sim/replay"}},
      {{"boost"}, {"sim/cluster", "sim/plan/placement", "sim/replay", "topologies", "tests"}},
      {{"dnnl.h", "dnnl.hpp"}, {"workloads/forward", "tests/workloads", "bench"}},
      {{"openssl", "zip.h", "pugixml.hpp"}, {"sim/io"}},
      {{"hwy"}, {"workloads/forward", "tests/workloads", "bench"}},
      {{"unicode"}, {"workloads/tokens"}},
      {{"nlopt"}, {"sim/calibrate"}},
      {{"metis.h"}, {"sim/plan/placement"}},
      {{"CLI"}, {"cli"}},
      {{"doctest"}, {"tests"}},
      {{"benchmark"}, {"bench"}},
  };
  return rules;
}

std::string folder_rule_of(const std::string& path) {
  std::string longest;
  for (const auto& [folder, allowed] : allowed_folders()) {
    if (starts_with_folder(path, folder) && folder.size() > longest.size()) longest = folder;
  }
  return longest;
}

Lines folder_violations(const std::vector<Source>& sources) {
  Lines wrong;
  for (const Source& source : sources) {
    const std::string folder = folder_rule_of(source.path);
    if (folder.empty()) {
      wrong.push_back(source.path + ": its folder has no rule");
      continue;
    }
    std::vector<std::string> allowed = allowed_folders().at(folder);
    allowed.push_back(folder);
    if (folder != "sim/core") allowed.insert(allowed.end(), {"sim/core", "sim/io"});
    for (const Include& include : source.includes) {
      if (include.quoted && !in_any(include.name, allowed))
        wrong.push_back(source.path + " includes " + include.name);
    }
  }
  return wrong;
}

Lines library_violations(const std::vector<Source>& sources) {
  Lines wrong;
  for (const Source& source : sources) {
    for (const Include& include : source.includes) {
      for (const LibraryRule& rule : library_rules()) {
        if (!include.quoted && in_any(include.name, rule.headers) &&
            !in_any(source.path, rule.folders))
          wrong.push_back(source.path + " includes <" + include.name + ">");
      }
    }
  }
  return wrong;
}

// A file that reaches itself through its includes, as "a > b > a".
Lines include_cycles(const std::vector<Source>& sources) {
  std::map<std::string, const Source*> by_path;
  for (const Source& source : sources) by_path[source.path] = &source;
  Lines cycles;
  std::set<std::string> done;
  Lines path;
  const std::function<void(const std::string&)> visit = [&](const std::string& name) {
    const auto open = std::find(path.begin(), path.end(), name);
    if (open != path.end()) {
      std::string cycle;
      for (auto at = open; at != path.end(); ++at) cycle += *at + " > ";
      cycles.push_back(cycle + name);
      return;
    }
    if (by_path.count(name) == 0 || done.count(name) != 0) return;
    path.push_back(name);
    for (const Include& include : by_path[name]->includes) visit(include.name);
    path.pop_back();
    done.insert(name);
  };
  for (const Source& source : sources) visit(source.path);
  return cycles;
}

// Functions at file scope, as clang-format leaves them: from the line at the margin that begins one
// to the "}" at the margin that ends it.
Lines long_functions(const std::vector<Source>& sources, std::size_t limit) {
  Lines wrong;
  for (const Source& source : sources) {
    std::size_t first = 0;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      const std::string& line = source.lines[i];
      if (line == "}") {
        if (i + 1 - first > limit)
          wrong.push_back(source.path + ":" + std::to_string(first + 1) + ": " +
                          std::to_string(i + 1 - first) + " lines");
      } else if (!line.empty() && line.front() != ' ' && line.front() != '#' && line != "{") {
        first = i;
      }
    }
  }
  return wrong;
}

Source source_of(const std::string& path, const Lines& lines) {
  return {path, lines, includes_of(lines)};
}

}  // namespace

TEST_CASE("Dependencies between folders point one way") {
  REQUIRE(code().size() > 50);
  const Lines wrong = folder_violations(code());
  CHECK_MESSAGE(wrong.empty(), joined(wrong));
}

TEST_CASE("Each library is named only by the folders that wrap it") {
  const Lines wrong = library_violations(code());
  CHECK_MESSAGE(wrong.empty(), joined(wrong));
}

TEST_CASE("sim/core includes only the standard library") {
  for (const Source& source : code()) {
    if (!starts_with_folder(source.path, "sim/core")) continue;
    CAPTURE(source.path);
    for (const Include& include : source.includes) {
      CAPTURE(include.name);
      CHECK((include.quoted || include.name.find_first_of("./") == std::string::npos));
    }
  }
}

TEST_CASE("Headers of sim name JSON only through json_fwd.hpp") {
  // The one exception is private to sim/io, which wraps the library.
  const std::string reader = "sim/io/json_document.h";
  for (const Source& source : code()) {
    CAPTURE(source.path);
    const bool header = source.path.rfind(".h") == source.path.size() - 2;
    for (const Include& include : source.includes) {
      if (header && starts_with_folder(source.path, "sim") && source.path != reader)
        CHECK_FALSE(include.name == "nlohmann/json.hpp");
      if (include.name == reader) CHECK(starts_with_folder(source.path, "sim/io"));
    }
  }
}

TEST_CASE("No file includes itself through others") {
  const Lines cycles = include_cycles(code());
  CHECK_MESSAGE(cycles.empty(), joined(cycles));
}

// Two types of one name are one to the linker, which keeps the functions of either.
TEST_CASE("A type's name is defined in one header") {
  const std::regex opening(R"(^(?:struct|class) (\w+)(?: final)?(?: : .*)? \{.*)");
  std::map<std::string, std::string> known;
  for (const Source& source : code()) {
    if (!source.path.ends_with(".h") || starts_with_folder(source.path, "tests")) continue;
    for (const std::string& line : source.lines) {
      std::smatch match;
      if (!std::regex_match(line, match, opening)) continue;
      const auto defined = known.try_emplace(match[1].str(), source.path);
      CAPTURE(defined.first->first);
      CAPTURE(defined.first->second);
      CAPTURE(source.path);
      CHECK(defined.second);
    }
  }
  CHECK(known.size() > 300);
}

TEST_CASE("A file has at most 300 lines and opens by saying what it is") {
  for (const Source& source : read_sources({".h", ".cpp", ".cmake", ".py", ".js", ".css", ".sh"})) {
    CAPTURE(source.path);
    CHECK(source.lines.size() <= 300);
    REQUIRE_FALSE(source.lines.empty());
    const bool script = source.lines[0].rfind("#!", 0) == 0;
    REQUIRE(source.lines.size() > (script ? 1U : 0U));
    const std::string& opening = source.lines[script ? 1 : 0];
    CHECK_MESSAGE(opening.find_first_of("/#\"") == 0, opening);
  }
}

TEST_CASE("A function has at most 60 lines") {
  std::vector<Source> sources = code();
  sources.erase(
      std::remove_if(sources.begin(), sources.end(),
                     [](const Source& source) { return starts_with_folder(source.path, "tests"); }),
      sources.end());
  const Lines wrong = long_functions(sources, 60);
  CHECK_MESSAGE(wrong.empty(), joined(wrong));
}

TEST_CASE("The rules catch what they are there for") {
  const Source upward = source_of("sim/plan/x.cpp", {"#include \"analysis/analysis.h\""});
  CHECK(folder_violations({upward}).size() == 1);
  const Source core = source_of("sim/core/x.h", {"#include \"sim/io/files.h\""});
  CHECK(folder_violations({core}).size() == 1);
  const Source engine = source_of("sim/plan/x.cpp", {"#include <simgrid/s4u.hpp>"});
  CHECK(library_violations({engine}).size() == 1);
  const Source graph = source_of("sim/cost/x.cpp", {"#  include <boost/graph/graph_traits.hpp>",
                                                    "#include <boost/graph/graph_traits.hpp>"});
  CHECK(library_violations({graph}).size() == 1);
  CHECK(folder_violations({source_of("elsewhere/x.cpp", {})}).size() == 1);
  CHECK(include_cycles(
            {source_of("a.h", {"#include \"b.h\""}), source_of("b.h", {"#include \"a.h\""})})
            .size() == 1);
  const Source function =
      source_of("f.cpp", {"namespace {", "int f(", "    int x) {", "  x;", "}", "}  // namespace"});
  CHECK(long_functions({function}, 3).size() == 1);
  CHECK(long_functions({function}, 4).empty());
}
