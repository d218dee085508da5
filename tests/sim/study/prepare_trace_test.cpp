// Traces made for scenarios: kept under a key that holds every option.
#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "sim/study/study.h"
#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"

namespace moesim {
namespace {

TraceSource small_source() {
  TraceSource source;
  source.forward_model = data_path("workloads/reference/model");
  source.forward_texts = data_path("workloads/reference/texts/code.txt");
  source.tokens_per_domain = 24;
  source.chunk_tokens = 12;
  return source;
}

TEST_CASE("every option of a scenario's forward trace makes a trace of its own, made once") {
  const test::TemporaryFolder folder;
  std::vector<TraceSource> sources(8, small_source());
  sources[1].prefill_chunk_tokens = 5;
  sources[2].batch = 2;
  sources[3].decode_tokens = 3;
  sources[4].generate_tokens = 2;
  sources[5] = sources[6] = sources[7] = sources[4];
  sources[5].temperature = 1;
  sources[6].temperature = 2;
  sources[7].temperature = 2;
  sources[7].sampling_seed = 5;
  std::set<std::string> paths;
  for (const TraceSource& source : sources) {
    int made = 0;
    RunOptions options;
    options.say = [&](const std::string&) { ++made; };
    const std::string path = prepare_trace(source, folder.path(), options);
    paths.insert(path);
    CHECK(prepare_trace(source, folder.path(), options) == path);
    CHECK(made == 1);
    const RoutingTrace trace = open_trace(path, true);
    // 24 tokens are two requests.
    CHECK(trace.tokens() == static_cast<std::size_t>(24 + 2 * source.generate_tokens));
    std::size_t decoded = 0;
    for (const std::uint8_t phase : trace.phase)
      if (phase == static_cast<std::uint8_t>(Phase::decode)) ++decoded;
    CHECK(decoded == static_cast<std::size_t>(2 * (source.decode_tokens + source.generate_tokens)));
  }
  CHECK(paths.size() == sources.size());
}

TEST_CASE("a scenario's options of a forward trace are refused by key where they mean nothing") {
  const auto refused = [](const std::string& edits, const std::string& part) {
    const test::Outcome outcome = test::run_program("check " + test::kFirstRun + edits);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(outcome.output.find(part) != std::string::npos);
  };
  const std::string set = " --set workload.trace.forward.";
  refused(set + "temperature=0.5", "give \"generate_tokens\" too");
  refused(set + "generate_tokens=2" + set + "seed=3", "give a \"temperature\"");
  refused(set + "decode_tokens=256", "decode_tokens");
  refused(set + "batches=2", "did you mean \"batch\"");
}

}  // namespace
}  // namespace moesim
