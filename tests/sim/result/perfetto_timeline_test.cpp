// The file keeps the rules of the format, and shows the step that was replayed.
#include "sim/result/perfetto_timeline.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using nlohmann::json;

namespace {

struct Replayed {
  test::StepWorld world{test::StepCase{}};
  StepGraph graph;
  Timeline timeline;

  explicit Replayed(const std::string& overlap) {
    world.plan.overlap = overlap;
    graph = world.build();
    timeline = replay(graph, world.cluster, Fidelity::bound);
  }
  json events(const TimelineChoice& choice = {}) const {
    return json::parse(
               perfetto_timeline(graph, timeline, world.cluster.fabric, MemoryLedger{}, choice))
        .at("traceEvents");
  }
};

}  // namespace

TEST_CASE("slices of a track follow one another, times ascend, arrows have two ends") {
  for (const char* overlap : {"none", "two_batch"}) {
    const Replayed step(overlap);
    std::map<std::pair<int, int>, std::int64_t> track_end, lasted;  // ns
    std::map<std::pair<int, int>, std::size_t> slices;
    std::map<int, int> arrow_ends;
    std::map<std::pair<int, int>, double> kernels;
    double last = 0;
    for (const json& event : step.events()) {
      const std::string phase = event.at("ph");
      if (phase == "M") continue;
      CHECK(event.at("ts").get<double>() >= last);
      last = event.at("ts");
      if (phase == "s" || phase == "f") arrow_ends[event.at("id")] += phase == "s" ? 1 : 10;
      if (phase != "X") continue;
      const std::pair<int, int> track{event.at("pid"), event.at("tid")};
      // By a nanosecond, since a reader that cuts times to whole ones may lower each by as much;
      // but for one that lasts none.
      const std::int64_t start = std::llround(event.at("ts").get<double>() * 1e3);
      const std::int64_t lasts = std::llround(event.at("dur").get<double>() * 1e3);
      CHECK(start >= track_end[track] + (lasted[track] > 0 ? 1 : 0));
      track_end[track] = start + lasts;
      lasted[track] = lasts;
      ++slices[track];
      if (track.second == 1) kernels[track] += event.at("dur").get<double>();
    }
    CHECK(!arrow_ends.empty());
    for (const auto& [id, ends] : arrow_ends) CHECK(ends == 11);
    CHECK(track_end.size() == 32);  // two tracks of 16 ranks
    std::int64_t longest = 0;
    for (const auto& [track, end] : track_end) longest = std::max(longest, end);
    CHECK(static_cast<double>(longest) ==
          doctest::Approx(step.timeline.makespan.count() * 1e9 - 1).epsilon(1e-5));
    double expected = 0;
    for (std::size_t task = 0; task < step.graph.tasks.size(); ++task)
      if (step.graph.tasks[task].exchange < 0)
        expected += (step.timeline.at(task, 5).end - step.timeline.at(task, 5).start).count();
    // A nanosecond is left between slices; rounding adds up to as much.
    const double left_out = 2e-3 * static_cast<double>(slices.at({6, 1}));
    CHECK(kernels.at({6, 1}) <= expected * 1e6);
    CHECK(kernels.at({6, 1}) >= expected * 1e6 - left_out);
  }
}

TEST_CASE("link counters hold shares and return to nothing") {
  const Replayed step("none");
  std::map<std::string, double> value;
  for (const json& event : step.events()) {
    if (event.at("ph") != "C") continue;
    const double share = event.at("args").at("value");
    CHECK(share >= 0);
    CHECK(share <= 1);
    value[event.at("pid").dump() + event.at("name").get<std::string>()] = share;
  }
  CHECK(!value.empty());
  for (const auto& [name, share] : value) CHECK(share == 0);
}

TEST_CASE("ranks and layers can be chosen, and a small file keeps the rank that ends the step") {
  const Replayed step("none");
  TimelineChoice choice;
  choice.ranks = {3, 7};
  choice.first_layer = 2;
  choice.last_layer = 4;
  std::set<int> processes, layers;
  for (const json& event : step.events(choice)) {
    processes.insert(event.at("pid").get<int>());
    if (event.at("ph") == "X") layers.insert(event.at("args").at("layer").get<int>());
  }
  CHECK(processes == std::set<int>{4, 8});
  CHECK(layers == std::set<int>{2, 3, 4});

  TimelineChoice small;
  small.most_bytes = 400'000;
  const std::string text = perfetto_timeline(step.graph, step.timeline, step.world.cluster.fabric,
                                             MemoryLedger{}, small);
  CHECK(text.size() < small.most_bytes);
  int last = 0;
  const std::size_t task = step.graph.tasks.size() - 1;
  for (int rank = 1; rank < 16; ++rank)
    if (step.timeline.at(task, rank).end > step.timeline.at(task, last).end) last = rank;
  CHECK(text.find("\"rank " + std::to_string(last) + "\"") != std::string::npos);
  choice.ranks = {16};
  CHECK_THROWS_WITH_AS(step.events(choice), "timeline of rank 16: the step has ranks 0 to 15",
                       InputError);
}
