// What can go wrong once a scenario runs: traces and checkpoints that do not match, a machine that
// cannot write, a plan that does not fit. Each has its exit code, and nothing half-written stays.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "sim/io/safetensors.h"
#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

void check_fails(const Outcome& outcome, int code, const std::vector<std::string>& parts) {
  INFO(outcome.output);
  CHECK(outcome.code == code);
  for (const std::string& part : parts) CHECK(outcome.output.find(part) != std::string::npos);
}

// A trace of 64 tokens in which token t of layer l chooses experts (t + l + j) mod experts.
void write_small_trace(const std::string& path, int experts, int top_k, int layers) {
  TraceColumns columns;
  columns.header.model = "made";
  columns.header.experts = experts;
  columns.header.top_k = top_k;
  for (int layer = 0; layer < layers; ++layer) columns.header.layer_ids.push_back(layer);
  columns.header.origin = "synthetic";
  columns.header.domains = {"all"};
  for (int token = 0; token < 64; ++token) {
    for (int layer = 0; layer < layers; ++layer) {
      for (int j = 0; j < top_k; ++j)
        columns.experts.push_back(static_cast<std::uint16_t>((token + layer + j) % experts));
    }
    columns.request.push_back(token / 16);
    columns.position.push_back(token % 16);
    columns.step.push_back(0);
    columns.domain.push_back(0);
    columns.phase.push_back(0);
  }
  write_trace(path, make_trace(std::move(columns)));
}

std::string with_trace(const std::string& trace) {
  return "run " + kFirstRun + " --set 'workload.trace={\"file\":\"" + trace + "\"}'";
}

// The files of a folder tree, temporary ones included.
std::size_t files_below(const std::string& folder) {
  std::size_t count = 0;
  if (!fs::exists(folder)) return 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    count += entry.is_regular_file() ? 1 : 0;
  return count;
}

// A copy of the golden Mixtral whose first MoE weight is replaced.
void copy_model(const TemporaryFolder& folder) {
  const std::string golden = test::source_dir() + "/tests/data/golden/mixtral/";
  fs::copy(golden + "config.json", folder.path());
  fs::copy(golden + "model.safetensors", folder.path());
}

}  // namespace

TEST_CASE("A trace with another number of experts is refused with both numbers") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 16, 4, 24);
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "out")), 2,
              {"16 experts", "32 experts", "gpt-oss-20b"});
}

TEST_CASE("A trace with another number of layers is refused unless a stand-in was asked for") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 32, 4, 5);
  const std::string arguments = with_trace(folder / "t.safetensors") + " --out " + (folder / "out");
  check_fails(run_program(arguments + " --set model=gpt-oss-20b --set shapes_from=null"), 2,
              {"5 MoE layers", "24"});
  check_fails(run_program(arguments), 0, {"Stand-in"});
}

TEST_CASE("A truncated trace is refused by name") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 32, 4, 8);
  fs::resize_file(folder / "t.safetensors", fs::file_size(folder / "t.safetensors") - 100);
  check_fails(run_program("trace stats " + (folder / "t.safetensors")), 2, {"t.safetensors"});
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "out")), 2,
              {"t.safetensors"});
  CHECK(!fs::exists(folder / "out"));  // no empty folders either
}

TEST_CASE("A failed run takes only the empty folders that it made itself") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 16, 4, 24);  // another number of experts
  fs::create_directories(folder / "out/points");
  write_file(folder / "out/note.txt", "mine");
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "out")), 2,
              {"16 experts"});
  CHECK(fs::exists(folder / "out/points"));
  CHECK(fs::exists(folder / "out/note.txt"));
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "new")), 2,
              {"16 experts"});
  CHECK(!fs::exists(folder / "new"));
}

TEST_CASE("A safetensors header that lies about its length is refused") {
  const TemporaryFolder folder;
  std::string data(16, '\0');
  const std::uint64_t length = 1ULL << 60U;
  std::memcpy(data.data(), &length, sizeof length);
  write_file(folder / "t.safetensors", data);
  check_fails(run_program("trace stats " + (folder / "t.safetensors")), 2,
              {"t.safetensors", "header"});
}

TEST_CASE("A checkpoint with NaN weights is refused by tensor") {
  const TemporaryFolder folder;
  copy_model(folder);
  std::vector<TensorView> tensors;
  const SafetensorsFile original(folder / "model.safetensors");
  std::vector<float> poisoned;
  for (const auto& [name, tensor] : original.tensors()) {
    tensors.push_back(tensor);
    if (name != "model.layers.1.block_sparse_moe.gate.weight") continue;
    poisoned.resize(static_cast<std::size_t>(tensor.elements()));
    std::memcpy(poisoned.data(), tensor.data.data(), tensor.data.size());
    poisoned[5] = std::numeric_limits<float>::quiet_NaN();
    tensors.back().data = std::as_bytes(std::span(poisoned));
  }
  REQUIRE(!poisoned.empty());
  write_safetensors(folder / "poisoned.safetensors", tensors, {});
  fs::rename(folder / "poisoned.safetensors", folder / "model.safetensors");
  write_file(folder / "ids.txt", "hello");
  check_fails(run_program("trace forward --model " + folder.path() + " --texts " +
                          (folder / "ids.txt") + " --out " + (folder / "t.safetensors")),
              2, {"model.layers.1.block_sparse_moe.gate.weight"});
  CHECK(!fs::exists(folder / "t.safetensors"));
}

TEST_CASE("A tensor of another shape than the config says is refused with both shapes") {
  const TemporaryFolder folder;
  copy_model(folder);
  std::string config = read_text_file(folder / "config.json");
  const auto at = config.find("\"intermediate_size\": 40");
  REQUIRE(at != std::string::npos);
  config.replace(at, 23, "\"intermediate_size\": 41");
  write_file(folder / "config.json", config);
  write_file(folder / "ids.txt", "hello");
  check_fails(run_program("trace forward --model " + folder.path() + " --texts " +
                          (folder / "ids.txt") + " --out " + (folder / "t.safetensors")),
              2, {"41", "40"});
}

TEST_CASE("A plan that does not fit memory is a verdict that names rank, kind and what would fit") {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_program("run " + kFirstRun + " --out " + (folder / "out") +
                  " --set workload.context=2000000 --set plan.placement=eplb --set vary=null");
  check_fails(outcome, 0, {"KV cache", "fit: at most 1 of its 256"});
  CHECK(outcome.output.find("does not fit") != std::string::npos);
  CHECK(fs::exists(folder / "out/report.html"));
}

TEST_CASE("Buffers for fewer tokens than a rank has are refused with both numbers") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 32, 4, 8);
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "out") +
                          " --set plan.max_tokens_per_rank=255"),
              2, {"plan.max_tokens_per_rank: 255 is too few", "up to 256 tokens"});
}

TEST_CASE("An output folder that cannot be made is the machine's lack") {
  check_fails(run_program("run " + kFirstRun + " --out /proc/moesim_out"), 3, {"/proc/moesim_out"});
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  check_fails(run_program("run " + kFirstRun + " --out " + (folder / "file")), 3,
              {folder / "file"});
}

TEST_CASE("A disk that fills leaves nothing half-written") {
  const TemporaryFolder folder;
  write_small_trace(folder / "t.safetensors", 32, 4, 24);
  // Files may grow to 4 blocks of 512 bytes: the first result does not fit.
  check_fails(run_program(with_trace(folder / "t.safetensors") + " --out " + (folder / "out"),
                          "ulimit -f 4; "),
              3, {"cannot write"});
  CHECK(files_below(folder / "out") == 0);
  check_fails(run_program("trace forward --tokens 256 --out " + (folder / "new.safetensors"),
                          "ulimit -f 4; "),
              3, {"cannot write"});
  CHECK(files_below(folder.path()) == 1);
}

TEST_CASE("A misspelt subcommand or option is named before what is missing because of it") {
  check_fails(run_program("forward chek"), 2, {"chek was not expected", "did you mean \"check\""});
  check_fails(run_program("trace forward --otu x"), 2,
              {"--otu was not expected", "did you mean \"--out\""});
  check_fails(run_program("trace stats"), 2, {"file is required"});
}
