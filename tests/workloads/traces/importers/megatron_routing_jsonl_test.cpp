// Megatron-LM's routing traces: records of one forward pass become rows, layer beside layer.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/workloads/traces/importers/import_files.h"

using namespace moesim;
using namespace moesim::test;  // NOLINT(google-build-using-namespace)

namespace {

const std::string kFormat = "megatron_routing_jsonl";

// A record as the tracer writes it, of two tokens, top-2.
std::string line(int step, int layer, int rank, const std::string& indices) {
  return fmt::format(
             R"({{"step": {}, "stage": "pre_dispatch", "block": "decoder", "layer": {}, "rank": {}, )"
             R"("num_tokens": 2, "topk": 2, "top_indices": {}}})",
             step, layer, rank, indices) +
         "\n";
}

}  // namespace

TEST_CASE("Layers of a forward pass stand side by side, ranks and steps one after another") {
  const std::string rank_0 = line(0, 3, 0, "[[1, 2], [3, 4]]") + line(0, 5, 0, "[[5, 6], [7, 0]]") +
                             "\n" + line(4, 3, 0, "[[0, 1], [2, 3]]") +
                             line(4, 5, 0, "[[1, 0], [3, -1]]");
  const std::string rank_1 = line(0, 3, 1, "[[2, 1], [4, 3]]") + line(0, 5, 1, "[[6, 5], [0, 7]]");
  const std::vector<ImportFile> files{import_file("router_trace_rank1.jsonl", rank_1),
                                      import_file("router_trace_rank0.jsonl", rank_0)};
  const RoutingTrace trace = make_trace(import_trace(files, "", {}).columns);
  CHECK(trace.header.layer_ids == std::vector<int>{3, 5});
  CHECK(trace.header.experts == 8);
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 0, 0, 1, 1});
  CHECK(ints(trace.source_rank) == std::vector<int>{0, 0, 1, 1, 0, 0});
  CHECK(ints(trace.request) == std::vector<int>{0, 0, 1, 1, 2, 2});
  CHECK(ints(trace.position) == std::vector<int>{0, 1, 0, 1, 0, 1});
  CHECK(ints(trace.experts) == std::vector<int>{1, 2, 5, 6, 3, 4, 7, 0,  //
                                                2, 1, 6, 5, 4, 3, 0, 7,  //
                                                0, 1, 1, 0, 2, 3, 3, 0xFFFF});
  CHECK(notes_say(trace, "requests, positions and phases are not recorded"));
}

TEST_CASE("A layer recorded again in its step begins the next micro-batch") {
  const RoutingTrace trace =
      import_text(kFormat, line(0, 1, 0, "[[1, 2], [3, 4]]") + line(0, 1, 0, "[[4, 3], [2, 1]]"));
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 1, 1});
  CHECK(ints(trace.experts) == std::vector<int>{1, 2, 3, 4, 4, 3, 2, 1});
}

TEST_CASE("MTP records, repeats by another rank and incomplete passes are left out and noted") {
  std::string mtp = line(0, 1, 0, "[[1, 2], [3, 4]]");
  mtp.replace(mtp.find("decoder"), 7, "mtp\", \"mtp_idx\": 0, \"was\": \"");
  const RoutingTrace trace = import_text(
      kFormat, mtp + line(0, 1, 0, "[[1, 2], [3, 4]]") + line(0, 2, 0, "[[1, 2], [3, 4]]") +
                   line(0, 1, 1, "[[1, 2], [3, 4]]") + line(0, 2, 1, "[[1, 2], [3, 4]]") +
                   line(1, 1, 0, "[[1, 2], [3, 4]]"));
  CHECK(trace.tokens() == 2);
  CHECK(notes_say(trace, "1 records of MTP blocks"));
  CHECK(notes_say(trace, "1 forward passes are left out: another rank recorded the same"));
  CHECK(notes_say(trace, "1 forward passes are left out: layers are missing"));
}

TEST_CASE("Ranks of different pipeline stages are not joined") {
  CHECK(says(import_refusal(kFormat,
                            line(0, 1, 0, "[[1, 2], [3, 4]]") + line(0, 2, 1, "[[1, 2], [3, 4]]")),
             "no forward pass holds all of layers 1, 2"));
}

TEST_CASE("A malformed line is refused by line and column, a wrong value by line and key") {
  const std::string sound = line(0, 1, 0, "[[1, 2], [3, 4]]");
  const auto second = [&](const std::string& text) {
    return import_refusal(kFormat, sound + text);
  };
  CHECK(says(second(R"({"step": 0,, "layer": 1})"), "a file:2:12: not valid JSON"));
  CHECK(says(second(sound.substr(0, 40)), "a file:2:"));
  CHECK(says(second("[1, 2]"), "a file:2: the line is a list"));
  CHECK(says(second("7"), "a file:2: the line is a number"));
  CHECK(says(second("{}"), "lacks \"step\""));
  CHECK(says(second(line(0, 1, 0, "[[1, 2], [3]]")), "top_indices: [1] has 1 indices, [0] has 2"));
  CHECK(says(second(line(0, 1, 0, "[[1, 2]]")), "is 1 x 2, but num_tokens x topk 2 x 2"));
  CHECK(says(second(line(0, 1, 0, "[[1, 2], [3, 4.5]]")), "top_indices: [1] holds 4.5"));
  CHECK(says(second(line(0, 1, 0, "[[1, 2], [3, [4]]]")), "[1] holds a list"));
  CHECK(says(second(line(0, 1, 0, "[1, 2]")), "expected a list of lists"));
  CHECK(says(second(line(0, 1, 0, "[[1, 2], [3, 70000]]")), "[1][1] is expert 70000"));
  CHECK(says(second(line(0, -1, 0, "[[1, 2], [3, 4]]")), "layer: is -1, allowed: 0 to"));
  CHECK(says(second(R"({"step": 0, "step": 1})"), "a file:2: step: duplicate key"));
  CHECK(says(second(R"({"step": "0"})"), "step: is a text, expected a whole number"));
  CHECK(says(second(R"({"step": [0]})"), "step: is a list"));
  CHECK(says(second(std::string(100, '[')), "a file:2"));
  ImportOptions options;
  options.experts = 4;
  CHECK(says(import_refusal(kFormat, sound, options), "[1][1] is expert 4, allowed: 0 to 3"));
  CHECK(says(import_refusal(kFormat, "\n\n"), "holds no record"));
}

TEST_CASE("Unknown keys are passed over, whatever they hold") {
  std::string record = line(0, 1, 0, "[[1, 2], [3, 4]]");
  record.insert(1, R"("hs_shape": [2, 64], "other": {"step": [1, {"a": null}]}, "b": true, )");
  CHECK(import_text(kFormat, record).tokens() == 2);
}
