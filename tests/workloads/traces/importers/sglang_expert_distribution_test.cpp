// SGLang's recorder dumps. The fixtures are made by tests/data/imports/make_dumps.py, whose formula
// for the k-th expert of a token in a layer stands here again.
#include <doctest/doctest.h>

#include "sim/io/zip.h"
#include "tests/sim/io/zip_bytes.h"
#include "tests/workloads/traces/importers/import_files.h"

using namespace moesim;
using namespace moesim::test;  // NOLINT(google-build-using-namespace)

namespace {

int recorded(int layer, int token, int k, int experts) {
  return (7 * layer + 3 * token + 5 * k) % experts;
}

using Loads = std::vector<std::int64_t>;
const std::string kFormat = "sglang_expert_distribution";

std::string fixture(const std::string& name) { return read_text_file(kImports + name); }

// The dump's pickle with `from` replaced by `to` of the same length, in a zip of the same members.
std::string with_pickle(const std::string& name, const std::string& from, const std::string& to) {
  const MappedFile file(kImports + name);
  const ZipArchive archive(file.bytes(), name);
  std::vector<ZipPart> parts;
  for (const ZipMember& member : archive.members()) {
    const std::vector<std::byte> bytes = archive.read(member);
    std::string data(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (member.name.ends_with("data.pkl")) {
      const std::size_t at = data.find(from);
      REQUIRE(at != std::string::npos);
      data.replace(at, from.size(), to);
    }
    parts.emplace_back(member.name, data);
  }
  return zip_of(parts);
}

}  // namespace

TEST_CASE("A per_token dump gives the exact routing, by logical expert") {
  const RoutingTrace trace = import_fixtures({"sglang_per_token.pt"});
  CHECK(trace.header.origin == "imported");
  CHECK(trace.header.experts == 6);  // 8 physical experts, of which 6 and 7 repeat 0 and 1
  CHECK(trace.header.top_k == 2);    // of 8 recorded slots
  CHECK(trace.header.layer_ids == std::vector<int>{1, 2, 3});  // layer 0 routes nothing
  REQUIRE(trace.tokens() == 11);                               // the fixture numbers them
  for (int token = 0; token < 11; ++token)
    for (int layer = 1; layer <= 3; ++layer)
      for (int k = 0; k < 2; ++k)
        CHECK(trace.choice(static_cast<std::size_t>(token),
                           static_cast<std::size_t>(layer - 1))[static_cast<std::size_t>(k)] ==
              recorded(layer, token, k, 6));
  CHECK(notes_say(trace, "1 of 4 recorded layers are left out"));
  CHECK(notes_say(trace, "no request ids"));
}

TEST_CASE("A per_token dump gives positions, steps and phases, and requests by position") {
  const RoutingTrace trace = import_fixtures({"sglang_per_token.pt"});
  // Pass 10: prompts of 3 and 2 tokens; 11: 2 more of the second; 12: both decode; 13: the first
  // decodes, beside one at position 100 that was begun before the recording.
  CHECK(ints(trace.position) == std::vector<int>{0, 1, 2, 0, 1, 2, 3, 3, 4, 4, 100});
  CHECK(ints(trace.request) == std::vector<int>{0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 2});
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3});
  CHECK(ints(trace.phase) == std::vector<int>{0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(ints(trace.source_rank) == std::vector<int>(11, 0));
}

TEST_CASE("The same dump twice counts once: ranks of a tensor-parallel group record alike") {
  const RoutingTrace once = import_fixtures({"sglang_per_token.pt"});
  const RoutingTrace twice = import_fixtures({"sglang_per_token.pt", "sglang_per_token.pt"});
  CHECK(twice.header.data_sha256 == once.header.data_sha256);
  CHECK(notes_say(twice, "4 records are left out"));
}

TEST_CASE("Ranks of a data-parallel group stand side by side; mixed batches hold both phases") {
  const RoutingTrace trace = import_fixtures({"sglang_mixed_1.pt", "sglang_mixed_0.pt"});
  // Pass 0: rank 0 prefills tokens 0 and 1. Pass 1: rank 0 decodes token 2 and prefills 3 and 4,
  // rank 1 prefills 5. The idle record and the padding have no rows.
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 1, 1, 1, 1});
  CHECK(ints(trace.source_rank) == std::vector<int>{0, 0, 0, 0, 0, 1});
  CHECK(ints(trace.request) == std::vector<int>{0, 0, 0, 1, 1, 2});
  CHECK(ints(trace.position) == std::vector<int>{0, 1, 2, 0, 1, 0});
  CHECK(ints(trace.phase) == std::vector<int>{0, 0, 1, 0, 0, 0});
  for (int token = 0; token < 6; ++token)
    for (int k = 0; k < 2; ++k)
      CHECK(trace.choice(static_cast<std::size_t>(token), 0)[static_cast<std::size_t>(k)] ==
            recorded(0, token, k, 6));
  CHECK(notes_say(trace, "1 padding tokens are left out"));
}

TEST_CASE("per_pass dumps of two ranks add up to the loads of the pass") {
  ImportOptions options;
  options.top_k = 2;
  const RoutingTrace trace =
      import_fixtures({"sglang_per_pass_0.pt", "sglang_per_pass_1.pt"}, options);
  // Physical counts are [4 2 | 5 3] and [3 3 | 4 4]; the maps are 0 1 2 0 and 2 1 0 2.
  REQUIRE(trace.tokens() == 7);  // 14 copies, top-2
  CHECK(loads_of(trace, 0, 0, 7) == Loads{4 + 3, 2, 5});
  CHECK(loads_of(trace, 1, 0, 7) == Loads{4, 3, 3 + 4});
  CHECK(notes_say(trace, "drawn with seed 1"));
}

TEST_CASE("A stat dump gives each step's loads; unused places of its buffer are no steps") {
  ImportOptions options;
  options.top_k = 2;
  const RoutingTrace trace = import_fixtures({"sglang_stat.pt"}, options);
  CHECK(trace.header.layer_ids == std::vector<int>{1, 2});
  REQUIRE(trace.tokens() == 10 + 2);  // 20 and 4 copies, top-2
  CHECK(trace.step[9] == 0);
  CHECK(trace.step[10] == 1);
  CHECK(loads_of(trace, 0, 0, 10) == Loads{8, 6, 4, 2});
  CHECK(loads_of(trace, 1, 0, 10) == Loads{5, 5, 5, 5});
  CHECK(loads_of(trace, 0, 10, 12) == Loads{1, 1, 1, 1});
  CHECK(loads_of(trace, 1, 10, 12) == Loads{2, 2, 0, 0});
}

TEST_CASE("Counts without top-k, or with one that cannot be, are refused") {
  const std::string dump = fixture("sglang_stat.pt");
  CHECK(says(import_refusal(kFormat, dump), "give --top-k"));
  ImportOptions options;
  options.top_k = 5;
  CHECK(says(import_refusal(kFormat, dump, options), "top-k is 5, allowed: 1 to 4"));
  options.top_k = 3;  // 20 copies of 7 tokens, but one expert was chosen 8 times
  CHECK(says(import_refusal(kFormat, dump, options),
             "step 0, layer 1, expert 0: chosen 8 times of 20"));
}

TEST_CASE("A dump that disagrees with itself is refused by record and key") {
  const auto refusal = [](const std::string& from, const std::string& to) {
    return import_refusal(kFormat, with_pickle("sglang_per_token.pt", from, to));
  };
  CHECK(says(refusal("input_ids", "input_idz"), "records[0]: lacks \"input_ids\""));
  CHECK(says(refusal("records", "recordz"), "holds neither \"records\""));
  CHECK(says(refusal("topk_ids_of_layer", "topk_ids_of_layes"), "lacks \"global_physical_count\""));
  const std::string lengths("(K\x03K\x02", 5);  // of the first pass's two prompts
  CHECK(says(refusal(lengths, std::string("(K\x03K\x04", 5)),
             "records[0].extend_seq_lens: adds up to more than the 5 tokens"));
  ImportOptions options;
  options.experts = 7;
  CHECK(says(import_refusal(kFormat, fixture("sglang_per_token.pt"), options),
             "it says 6 experts, --experts or --model 7"));
}

TEST_CASE("A physical expert beyond the map is refused by layer, token and slot") {
  const MappedFile file(kImports + "sglang_per_token.pt");
  const ZipArchive archive(file.bytes(), "dump");
  std::vector<ZipPart> parts;
  for (const ZipMember& member : archive.members()) {
    const std::vector<std::byte> bytes = archive.read(member);
    parts.emplace_back(member.name,
                       std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    // Storage 0 is [4 layers, 5 tokens, 8 slots] int32; layer 1, token 2, slot 1 becomes 8.
    if (member.name.ends_with("/data/0"))
      parts.back() = {member.name,
                      parts.back().data.replace(((1 * 5 + 2) * 8 + 1) * 4, 4, little_endian(8, 4))};
  }
  CHECK(says(import_refusal(kFormat, zip_of(parts)),
             "records[0].topk_ids_of_layer: layer 1, token 2, slot 1: physical expert 8, allowed: "
             "0 to 7"));
}

TEST_CASE("Dumps of different modes are not imported together") {
  CHECK_THROWS_WITH_AS(import_fixtures({"sglang_per_token.pt", "sglang_stat.pt"}),
                       "sglang_stat.pt: mode stat, but sglang_per_token.pt is per_token",
                       InputError);
}

TEST_CASE("A dump that would run code is refused, and so is one cut anywhere") {
  CHECK(says(import_refusal("", fixture("os_system.pt")), "\"posix system\""));
  const std::string dump = fixture("sglang_stat.pt");
  for (std::size_t length = 0; length < dump.size(); length += 7) {
    CAPTURE(length);
    CHECK_FALSE(import_refusal("", dump.substr(0, length)).empty());
  }
}
