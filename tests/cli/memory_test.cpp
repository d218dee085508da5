// moesim memory as a user calls it.
#include <doctest/doctest.h>

#include "sim/io/json_reader.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

bool says(const Outcome& outcome, const std::string& part) {
  return outcome.output.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("memory prints the fullest rank by kind and what would change it") {
  const Outcome outcome = run_program(
      "memory --model deepseek-v3 --accelerator h200-sxm --ep 32 --redundant-experts 32 "
      "--all-to-all deepep_low_latency --batch 128");
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  for (const char* part : {"deepseek-v3 on 32 h200-sxm: EP 32, TP 1, DP 32", "routed experts",
                           "exchange buffers", "requests of 4096 tokens", "Breaks first: KV cache",
                           "redundant experts fit", "Verdict: fits", "fp8 KV cache"}) {
    CAPTURE(part);
    CHECK(says(outcome, part));
  }
}

TEST_CASE("memory in JSON sums up to the capacity") {
  const Outcome outcome =
      run_program("memory --model qwen3-235b-a22b --accelerator h100-sxm --tp 8 --json");
  REQUIRE(outcome.code == 0);
  const JsonNode json = read_json_text(outcome.output, "memory");
  const JsonNode rank = json.at("fullest_rank");
  double sum = rank.at("headroom").as_number();
  for (const std::string& kind : rank.at("kinds").keys())
    sum += rank.at("kinds").at(kind).as_number();
  CHECK(sum == doctest::Approx(rank.at("capacity").as_number()).epsilon(1e-9));
  // Weights of 235 B in bf16 leave little of eight times 80 GiB.
  CHECK(json.at("plan").at("ranks_per_expert").as_int(0, 99) == 8);
  CHECK(json.at("kv_tokens").as_int(0, 1 << 30) > 0);
}

TEST_CASE("ranks that share out a request's cache hold so many times more tokens") {
  const auto tokens = [](const std::string& arguments) {
    const Outcome outcome =
        run_program("memory --model deepseek-v3 --accelerator h200-sxm --tp 8 --json " + arguments);
    INFO(outcome.output);
    REQUIRE(outcome.code == 0);
    return static_cast<double>(
        read_json_text(outcome.output, "memory").at("kv_tokens").as_int(1, 1 << 30));
  };
  CHECK(tokens("--cp 8") == doctest::Approx(8 * tokens("")).epsilon(1e-3));
  CHECK(says(run_program("memory --model deepseek-v3 --accelerator h200-sxm --tp 8 --cp 4"),
             "TP 8, DP 1, CP 4"));
}

TEST_CASE("memory answers a wrong word with what would do") {
  const auto check = [](const std::string& arguments, const std::string& part) {
    const Outcome outcome = run_program("memory " + arguments);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(says(outcome, part));
  };
  const std::string gpu = " --accelerator h100-sxm ";
  check("--model deepsek-v3" + gpu, "did you mean \"deepseek-v3\"?");
  check("--model deepseek-v3 --accelerator h100-sxn", "did you mean \"h100-sxm\"?");
  check("--model deepseek-v3" + gpu + "--ep 24", "8 redundant would make it");
  check("--model deepseek-v3" + gpu + "--ep 8 --tp 3", "say with --dp");
  check("--model deepseek-v3" + gpu + "--weights fp7", "did you mean \"fp8\"?");
  check("--model deepseek-v3" + gpu + "--ep 8 --all-to-all deepep_lowlatency",
        "did you mean \"deepep_low_latency\"?");
  check("--model mixtral-8x7b" + gpu + "--mtp", "names no multi-token prediction module");
  check("--model mixtral-8x7b" + gpu + "--engine vlm", "vllm");
  check("--model deepseek-v3" + gpu + "--tp 8 --cp 3", "3 does not divide tensor_parallel 8");
  check("--model mixtral-8x7b" + gpu + "--tp 8 --cp 2", "key-value heads is on one rank only");
}

TEST_CASE("a scenario's plan names an engine and its fraction") {
  const auto check = [](const std::string& set, int code, const std::string& part) {
    const Outcome outcome = run_program("check " + test::kFirstRun + set);
    INFO(outcome.output);
    CHECK(outcome.code == code);
    CHECK(says(outcome, part));
  };
  check(" --set plan.memory.engine=vllm --set plan.memory.fraction=0.92", 0, "point");
  check(" --set plan.memory.page_tokens=64 --set plan.memory.fragmentation=0.02", 0, "point");
  check(" --set plan.memory.fraction=0.92", 2, "is an engine's; name one with \"engine\"");
  check(" --set plan.memory.engine=sglan", 2, "did you mean \"sglang\"?");
  check(" --set plan.memory.pages=64", 2, "page_tokens");
}
