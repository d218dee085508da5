// Pipelines against what can be said of them by hand: bubbles, what is in flight, every task once.
#include "sim/train/pipeline.h"

#include <doctest/doctest.h>

#include <map>
#include <tuple>

using namespace moesim;

namespace {

// Every segment forward 1 s, backward 2 s, of which half to the weights.
PipelineTimes even_times(int segments, double exchange = 0) {
  LayerPasses time;
  time.forward = {Seconds(1), Seconds(exchange), Seconds(0)};
  time.backward_input = {Seconds(1), Seconds(exchange), Seconds(0)};
  time.backward_weight.compute = Seconds(1);
  PipelineTimes times;
  times.segments.assign(static_cast<std::size_t>(segments), time);
  return times;
}

const SchedulePart& schedule(const char* name) {
  return Catalog<SchedulePart>::instance().at(name, "training schedule");
}

PipelineRun run(const char* name, const PipelineShape& shape, const PipelineTimes& times) {
  return run_pipeline(schedule(name), shape, times);
}

}  // namespace

TEST_CASE("One forward, one backward leaves p - 1 micro-batches' time idle on every stage") {
  for (const int stages : {1, 2, 4, 7}) {
    CAPTURE(stages);
    const PipelineShape shape{stages, 1, 12};
    const PipelineRun one = run("one_f_one_b", shape, even_times(stages));
    CHECK(one.end.count() == doctest::Approx((12 + stages - 1) * 3.0));
    for (const Seconds busy : one.busy) CHECK(busy.count() == doctest::Approx(36));
    for (int stage = 0; stage < stages; ++stage)
      CHECK(one.in_flight[static_cast<std::size_t>(stage)].front() == stages - stage);
  }
}

TEST_CASE("Interleaving v chunks divides the bubble by v") {
  // A chunk is 1 / v of a stage's layers: (p - 1) (f + b) / v idle (Narayanan et al. 2021, 2.2).
  for (const int chunks : {2, 4}) {
    CAPTURE(chunks);
    const int stages = 4;
    const PipelineRun one = run("one_f_one_b", {stages, chunks, 16}, even_times(stages * chunks));
    CHECK(one.end.count() == doctest::Approx(16 * 3.0 * chunks + (stages - 1) * 3.0));
  }
}

TEST_CASE("Sends between stages delay, but hold no stage") {
  PipelineTimes times = even_times(2);
  times.send = Seconds(0.25);
  const PipelineRun one = run("one_f_one_b", {2, 1, 1}, times);
  CHECK(one.end.count() == doctest::Approx(6.5));  // there and back once
  for (const Seconds busy : one.busy) CHECK(busy.count() == doctest::Approx(3));
}

TEST_CASE("Every schedule takes every micro-batch through every segment once, both ways") {
  for (const auto& [name, entry] : Catalog<SchedulePart>::instance().entries()) {
    const std::string schedule_name = name;
    CAPTURE(schedule_name);
    for (const bool overlap : {false, true}) {
      const PipelineShape shape{4, 1, 16, overlap};
      std::map<std::tuple<int, int, int>, int> forward, to_inputs, to_weights;
      for (const auto& of_stage : entry.part.tasks(shape))
        for (const StageTask& task : of_stage) {
          const std::tuple<int, int, int> cell{task.micro_batch, task.segment, 0};
          if (task.work == StageWork::forward) ++forward[cell];
          if (task.work == StageWork::backward || task.work == StageWork::backward_input)
            ++to_inputs[cell];
          if (task.work == StageWork::backward || task.work == StageWork::backward_weight)
            ++to_weights[cell];
        }
      const std::size_t cells = 16 * static_cast<std::size_t>(entry.part.segments(shape));
      for (const auto* counts : {&forward, &to_inputs, &to_weights}) {
        CHECK(counts->size() == cells);
        for (const auto& cell : *counts) CHECK(cell.second == 1);
      }
      const PipelineRun one = run_pipeline(
          entry.part, shape, even_times(entry.part.segments(shape)));  // nothing waits for ever
      for (const Seconds busy : one.busy) CHECK(busy <= one.end);
    }
  }
}

TEST_CASE("DualPipe's bubbles are below those of one forward, one backward") {
  const PipelineShape shape{8, 1, 32};
  const PipelineRun dual = run("dualpipe", shape, even_times(8)),
                    plain = run("one_f_one_b", shape, even_times(8));
  // Both do the same work; (p / 2 - 1)(f + b + b - 3 w) of arXiv 2412.19437, table 2, where f and b
  // overlapped take as long as one after the other and b is 2 s: (4 - 1)(3 + 2 - 3) = 6 s.
  CHECK(plain.end.count() == doctest::Approx(32 * 3.0 + 7 * 3));
  CHECK(dual.end.count() >= 32 * 3.0);
  CHECK(dual.end.count() <= doctest::Approx(32 * 3.0 + 6));
  for (const auto& held : dual.in_flight) CHECK(held[0] + held[1] <= 9);  // p + 1
}

TEST_CASE("Exchanges hide behind computation as far as it lasts") {
  const PassTime compute{Seconds(3), Seconds(0), Seconds(0)};
  const PassTime both{Seconds(1), Seconds(2), Seconds(0)};
  CHECK(visible_time(both, compute, 1).time.count() == doctest::Approx(1));
  CHECK(visible_time(both, compute, 1).exposed.count() == doctest::Approx(0));
  const PassTime longer{Seconds(1), Seconds(6), Seconds(0)};
  const Visible one = visible_time(longer, compute, 1), other = visible_time(compute, longer, 1);
  CHECK((one.time + other.time).count() == doctest::Approx(6));  // max(4, 6)
  CHECK(one.exposed.count() == doctest::Approx(2));
  // Computation at half its speed for 2 s: 1 s of it is left over.
  const Visible slow = visible_time(both, compute, 2), rest = visible_time(compute, both, 2);
  CHECK((slow.time + rest.time).count() == doctest::Approx(5));
  // Exchanges at half their speed beside 4 s of computation: 2 of 3 s are through by then.
  const PassTime three{Seconds(1), Seconds(3), Seconds(0)};
  const Visible held = visible_time(three, compute, 1, 2),
                free = visible_time(compute, three, 1, 2);
  CHECK((held.time + free.time).count() == doctest::Approx(5));
  CHECK(held.exposed.count() == doctest::Approx(1));
}

TEST_CASE("With overlap exchanges leave the steady state, without they stay") {
  const PipelineShape off{4, 1, 32, false}, on{4, 1, 32, true};
  const PipelineTimes times = even_times(4, 0.5);
  const PipelineRun apart = run("one_f_one_b", off, times), beside = run("one_f_one_b", on, times);
  CHECK(apart.hidden.count() == doctest::Approx(0));
  for (const Seconds exposed : apart.exchange) CHECK(exposed.count() == doctest::Approx(32));
  CHECK(beside.end < apart.end);
  CHECK(beside.hidden > Seconds(20));
  for (std::size_t stage = 0; stage < 4; ++stage)
    CHECK((beside.busy[stage] - beside.exchange[stage]).count() == doctest::Approx(96));
}
