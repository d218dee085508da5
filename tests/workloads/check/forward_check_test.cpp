// The checks that users run on their own conversions: they pass what is right and fail what is not.
#include <doctest/doctest.h>

#include "tests/cli/program.h"
#include "tests/source_dir.h"
#include "tests/workloads/golden.h"
#include "workloads/forward/check/golden_check.h"
#include "workloads/forward/check/router_check.h"

namespace moesim {
namespace {

const std::string kRouterCases = test::source_dir() + "/tests/data/router_cases/router_cases.json";

void copy_golden(const std::string& name, const std::string& to) {
  for (const char* file :
       {"config.json", "model.safetensors", "expected.json", "expected.safetensors"})
    std::filesystem::copy_file(golden_folder(name) + "/" + file, to + "/" + file);
}

TEST_CASE("every golden folder passes, encoder-decoder included") {
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder(""))) {
    if (!entry.is_directory()) continue;
    const FolderCheck check = check_folder(entry.path(), {});
    CAPTURE(check.folder);
    CHECK(check.passed);
    CHECK(check.wrong_indices == 0);
    CHECK(check.logits.value() > 0);  // something was compared
    CHECK(check.block_outputs.has_value());
  }
}

TEST_CASE("a changed weight fails the check") {
  const test::TemporaryFolder folder;
  copy_golden("mixtral", folder.path());
  LooseCheckpoint loose("mixtral");
  const std::string name = "model.layers.1.block_sparse_moe.experts.3.w2.weight";
  auto values = loose.values(name);
  values[5] += 0.01F;
  loose.set(name, {32, 40}, values);
  loose.write(folder.path());
  const FolderCheck check = check_folder(folder.path(), {});
  CHECK_FALSE(check.passed);
  CHECK(check.logits.value() > 5e-5);
  CHECK(check_folder(folder.path(), {.logits = 1, .router_logits = 1, .weights = 1, .blocks = 1})
            .passed);
}

TEST_CASE("a wrong index fails the check even where every number is close") {
  const test::TemporaryFolder folder;
  copy_golden("olmoe", folder.path());
  auto expected = nlohmann::json::parse(read_text_file(folder.path() + "/expected.json"));
  auto& first = expected["layers"][0]["topk_idx"][0];
  std::swap(first[0], first[1]);
  write_file(folder.path() + "/expected.json", expected.dump());
  const FolderCheck check = check_folder(folder.path(), {});
  CHECK(check.wrong_indices == 2);
  CHECK(check.near_ties == 0);
  CHECK_FALSE(check.passed);
}

TEST_CASE("without expected.safetensors only what is there is compared") {
  const test::TemporaryFolder folder;
  copy_golden("mixtral", folder.path());
  std::filesystem::remove(folder.path() + "/expected.safetensors");
  const FolderCheck check = check_folder(folder.path(), {});
  CHECK(check.passed);
  CHECK_FALSE(check.logits.has_value());
  CHECK(check.weights.has_value());
}

TEST_CASE("malformed expected outputs are refused by file and key") {
  const test::TemporaryFolder folder;
  copy_golden("mixtral", folder.path());
  const auto original = nlohmann::json::parse(read_text_file(folder.path() + "/expected.json"));
  const auto error_with = [&](const std::function<void(nlohmann::json&)>& change) {
    auto expected = original;
    change(expected);
    write_file(folder.path() + "/expected.json", expected.dump(1));
    return input_error_of([&] { check_folder(folder.path(), {}); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(error_with([](auto& e) { e.erase("input_ids"); }), "input_ids");
  has(error_with([](auto& e) { e["input_ids"][0][3] = -4; }), "input_ids");
  has(error_with([](auto& e) { e["input_ids"][0][3] = 64; }), "input_ids.0.3: 64 is out of range");
  has(error_with([](auto& e) { e["layers"][1]["topk_idx"].erase(0); }), "topk_idx");
  has(error_with([](auto& e) { e["layers"][1]["topk_idx"][0][0] = 2.5; }), "2.5 is no expert");
  has(error_with([](auto& e) { e["layers"][0]["topk_weights"][0][0] = "x"; }), "no number");
  has(error_with([](auto& e) { e["layers"].erase(1); }), "the model has 2 MoE layers");
  std::filesystem::remove(folder.path() + "/expected.json");
  has(input_error_of([&] { check_folder(folder.path(), {}); }), "expected.json");
}

TEST_CASE("a folder named with a slash behind it keeps its name in the table") {
  const FolderCheck check = check_folder(golden_folder("olmoe") + "/", {});
  CHECK(check_text({check}, {}).find("\nolmoe ") != std::string::npos);
}

TEST_CASE("a negative epsilon of the norms is refused, not turned into NaN") {
  const test::TemporaryFolder folder;
  copy_golden("mixtral", folder.path());
  auto config = nlohmann::json::parse(read_text_file(folder.path() + "/config.json"));
  config["rms_norm_eps"] = -1;
  write_file(folder.path() + "/config.json", config.dump());
  const std::string error = input_error_of([&] { check_folder(folder.path(), {}); });
  CAPTURE(error);
  CHECK(error.find("rms_norm_eps: is -1; allowed: 0 to 1") != std::string::npos);
}

TEST_CASE("all recorded router cases pass") {
  const auto checks = check_router_cases(kRouterCases);
  CHECK(checks.size() == 17);
  for (const RouterCheck& check : checks) {
    CAPTURE(check.name);
    CHECK(check.passed);
    CHECK(check.weights.has_value());
  }
}

TEST_CASE("a router case with another bias, a wrong name or a ragged array does not pass") {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() + "/cases.json";
  const auto original = nlohmann::json::parse(read_text_file(kRouterCases));
  nlohmann::json groups;
  for (const auto& entry : original)
    if (entry["name"] == "deepseek_v3_groups") groups = entry;
  const auto write = [&](const nlohmann::json& entry) {
    write_file(file, nlohmann::json::array({entry}).dump(1));
  };
  auto changed = groups;
  changed["params"]["e_score_correction_bias"][0] = 5.0;
  write(changed);
  CHECK_FALSE(check_router_cases(file)[0].passed);
  changed = groups;
  changed["router"] = "sigmoid_groupd";
  write(changed);
  CHECK(input_error_of([&] { check_router_cases(file); }).find("sigmoid_grouped") !=
        std::string::npos);
  changed = groups;
  changed["x"][2].erase(0);
  write(changed);
  CHECK(input_error_of([&] { check_router_cases(file); }).find("ragged") != std::string::npos);
}

TEST_CASE("the command's exit code says whether all passed") {
  const auto pass = test::run_program("forward check " + golden_folder("mixtral"));
  CHECK(pass.code == 0);
  CHECK(pass.output.find("1 of 1 folders passed") != std::string::npos);
  const auto fail = test::run_program("forward check --weights 0 " + golden_folder("mixtral"));
  CHECK(fail.code == 1);
  CHECK(fail.output.find("FAIL") != std::string::npos);
  CHECK(test::run_program("forward check --router " + kRouterCases).code == 0);
  const auto missing = test::run_program("forward check /nowhere");
  CHECK(missing.code == 2);
  CHECK(missing.output.find("/nowhere/config.json") != std::string::npos);
  CHECK(test::run_program("forward check").code == 2);
}

}  // namespace
}  // namespace moesim
