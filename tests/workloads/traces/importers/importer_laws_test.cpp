// What holds for every trace importer, and how one is chosen.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/source_dir.h"
#include "tests/workloads/traces/importers/import_files.h"

using namespace moesim;
using namespace moesim::test;  // NOLINT(google-build-using-namespace)

namespace {

using Importers = Catalog<TraceImporter>;

// A small file of each format.
std::string example_of(const std::string& format) {
  if (format == "sglang_expert_distribution") return read_text_file(kImports + "sglang_stat.pt");
  if (format == "vllm_routed_experts") return read_text_file(kImports + "vllm.npz");
  if (format == "megatron_routing_jsonl")
    return R"({"step":0,"layer":1,"rank":0,"num_tokens":1,"topk":1,"top_indices":[[2]]})";
  if (format == "expert_counts_csv") return "layer,expert,count\n0,0,1\n0,1,1\n";
  if (format == "expert_counts_json") return "[[1, 1]]";
  if (format == "olmoe_mixtral_counts")
    return R"({"models":{"m":{"num_experts":2,"top_k":2,"layers":[0],)"
           R"("domains":{"d":{"topk_counts":[[1,1]]}}}}})";
  return "";
}

}  // namespace

TEST_CASE("Every importer is a file of its name and knows its own format alone") {
  REQUIRE(Importers::instance().names().size() >= 6);
  for (const std::string& name : Importers::instance().names()) {
    CAPTURE(name);
    CHECK(std::filesystem::exists(test::source_dir() + "/workloads/traces/importers/" + name +
                                  ".cpp"));
    const std::string example = example_of(name);
    REQUIRE_FALSE(example.empty());
    for (const std::string& other : Importers::instance().names()) {
      CAPTURE(other);
      const TraceImporter& importer = Importers::instance().at(other, "trace format");
      CHECK(importer.probe(import_file("example", example)) == (other == name));
    }
    ImportOptions options;
    options.top_k = 2;
    const RoutingTrace trace = import_text("", example, options);
    CHECK(trace.header.origin == "imported");
    CHECK_FALSE(trace.header.notes.empty());
  }
}

TEST_CASE("Every importer refuses its own format cut anywhere, and reads it twice alike") {
  for (const std::string& name : Importers::instance().names()) {
    CAPTURE(name);
    const std::string example = example_of(name);
    ImportOptions options;
    options.top_k = 2;
    CHECK(import_text(name, example, options).header.data_sha256 ==
          import_text(name, example, options).header.data_sha256);
    if (name == "expert_counts_csv") continue;  // cut at a line's end it is a smaller table
    for (std::size_t length = 0; length < example.size(); length += 5) {
      CAPTURE(length);
      CHECK_FALSE(import_refusal(name, example.substr(0, length), options).empty());
    }
  }
}

TEST_CASE("Every importer survives a changed byte") {
  for (const std::string& name : Importers::instance().names()) {
    CAPTURE(name);
    const std::string example = example_of(name);
    ImportOptions options;
    options.top_k = 2;
    options.tokens = 2;
    for (std::size_t i = 0; i < example.size(); ++i) {
      std::string changed = example;
      changed[i] = static_cast<char>(changed[i] ^ 0x15);
      CHECK_NOTHROW(import_refusal(name, changed, options));
    }
  }
}

TEST_CASE("A file of no format is refused with the formats there are") {
  const std::string message = import_refusal("", "nothing known");
  CHECK(says(message, "a file: looks like no format known"));
  for (const std::string& name : Importers::instance().names()) CHECK(says(message, name));
  CHECK(says(import_refusal("sglang", "x"), "unknown trace format \"sglang\""));
}

TEST_CASE("Files imported together are of one format") {
  const std::string known = "[[1, 1]]";
  const std::string unknown = "?";
  const std::vector<ImportFile> files{import_file("a", known), import_file("b", unknown)};
  CHECK_THROWS_WITH_AS(import_trace(files, "", {}),
                       "b: looks like none, but a like expert_counts_json; files imported together "
                       "are of one format",
                       InputError);
}

TEST_CASE("Names of model and domain are the user's where given") {
  ImportOptions options;
  options.top_k = 1;
  CHECK(import_text("", "[[1, 1]]", options).header.model == "unknown");
  options.model = "mine";
  options.domain = "code";
  const TraceHeader header = import_text("", "[[1, 1]]", options).header;
  CHECK(header.model == "mine");
  CHECK(header.domains == std::vector<std::string>{"code"});
  CHECK(says(import_refusal("", R"({"a": [[1, 1]], "b": [[1, 1]]})", options), "holds 2 domains"));
}
