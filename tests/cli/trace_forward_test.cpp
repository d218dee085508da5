// moesim trace forward, forward generate and forward random as a user runs them.
#include <doctest/doctest.h>

#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

const std::string kGolden = test::source_dir() + "/tests/data/golden/";

void check_program_says(const Outcome& outcome, int code, const std::string& part) {
  INFO(outcome.output);
  CHECK(outcome.code == code);
  CHECK(outcome.output.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("trace forward traces the shipped model over its texts, with losses and memory") {
  const TemporaryFolder folder;
  const std::string out = folder / "t.safetensors";
  const Outcome outcome = run_program(
      "trace forward --tokens 40 --chunk 16 --batch 3 --prefill-chunk 6 --decode 4 --generate 2 "
      "--sample temperature --temperature 0.8 --top-p 0.9 --seed 3 --out " +
      out);
  check_program_says(outcome, 0, "tokens/s");
  check_program_says(outcome, 0, "GiB of memory at most");
  check_program_says(outcome, 0, "switch");
  const RoutingTrace trace = open_trace(out, true);
  // 40 tokens are requests of 16, 16 and 8, and each generates 2.
  CHECK(trace.tokens() == trace.header.domains.size() * (40 + 3 * 2));
  CHECK(trace.header.seed == 3);
  CHECK(trace.header.model == "reference");
}

TEST_CASE("trace forward reads ids from files and runs a golden checkpoint's first layers") {
  const TemporaryFolder folder;
  const std::string out = folder / "t.safetensors", ids = folder / "ids.json";
  write_file(ids, R"({"a": [[1, 2, 3], [4, 5]], "b": [6, 7, 8, 9]})");
  check_program_says(run_program("trace forward --model " + kGolden + "mixtral --texts " + ids +
                                 " --layers 0:1 --router-only --out " + out),
                     0, "9 tokens, 1 MoE layers");
  CHECK(open_trace(out, true).header.layer_ids == std::vector<int>{0});
}

TEST_CASE("trace forward runs a configuration with random weights and says so in the trace") {
  const TemporaryFolder folder;
  const std::string out = folder / "t.safetensors", ids = folder / "ids.txt";
  write_file(ids, "5 17 900\n3 3 41 250\n");
  check_program_says(
      run_program("trace forward --model granite-3.0-1b-a400m --random 7 --layers :2 "
                  "--ids --texts " +
                  ids + " --out " + out),
      0, "7 tokens, 2 MoE layers");
  const RoutingTrace trace = open_trace(out, true);
  CHECK(trace.header.model == "granite-3.0-1b-a400m");
  REQUIRE(trace.header.notes.size() == 1);
  CHECK(trace.header.notes[0].find("seed 7") != std::string::npos);
}

TEST_CASE("wrong arguments of trace forward exit with 2 and write nothing") {
  const TemporaryFolder folder;
  const std::string out = " --out " + (folder / "t.safetensors");
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    check_program_says(run_program("trace forward " + arguments + out), 2, part);
  };
  refused("--router-only --generate 3", "--generate needs the logits");
  refused("--layers 3", "write a:b");
  refused("--layers 2:2", "write a:b");
  refused("--layers 90:", "no MoE layer from layer 90");
  refused("--model absent", "absent is no folder");
  refused("--model deepseek-v33 --random 1", "did you mean \"deepseek-v3\"");
  refused("--model " + kGolden + "mixtral", "vocabulary of 256");
  refused("--temperature 2", "--sample");
  refused("--decode 256", "decode_tokens is 256");
  refused("--texts absent", "no such file");
  CHECK(folder.entries() == 0);
}

TEST_CASE("forward generate goes on from a prompt, the same for the same seed") {
  const std::string prompt = "forward generate --prompt \"The \" --tokens 20 ";
  const Outcome greedy = run_program(prompt), again = run_program(prompt + "--threads 1");
  check_program_says(greedy, 0, "");
  CHECK(greedy.output == again.output);
  CHECK(greedy.output.size() == 21);  // bytes, and the end of the line
  const std::string sampled = prompt + "--sample temperature --temperature 5 --seed ";
  CHECK(run_program(sampled + "1").output == run_program(sampled + "1").output);
  CHECK(run_program(sampled + "1").output != run_program(sampled + "2").output);
  check_program_says(run_program("forward generate"), 2, "--prompt TEXT or --prompt-file");
  check_program_says(run_program("forward generate --prompt a --model " + kGolden + "mixtral"), 2,
                     "give --tokenizer");
}

TEST_CASE("forward random prints the load of a shipped configuration's layers") {
  const Outcome outcome =
      run_program("forward random granite-3.0-1b-a400m --layers 0:2 --tokens 5");
  check_program_says(outcome, 0, "layers 0:2, 32 experts, top-8, 5 tokens");
  check_program_says(outcome, 0, "max / mean");
  check_program_says(run_program("forward random granite --tokens 5"), 2, "no folder, config.json");
  check_program_says(run_program("forward random granite-3.0-1b-a400m --layers 3:"), 2,
                     "say where the layers end");
}
