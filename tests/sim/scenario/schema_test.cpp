#include "sim/scenario/schema.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/io/files.h"
#include "tests/sim/scenario/schema_checker.h"
#include "tests/source_dir.h"

using namespace moesim;
using nlohmann::json;
using test::SchemaChecker;

namespace {

std::string text_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + " ";
  return text;
}

json file_of(const std::string& name) {
  return json::parse(read_text_file(test::source_dir() + "/" + name));
}

// The file with one change, by which a schema or its loader must refuse it.
json changed(json file, const std::function<void(json&)>& change) {
  change(file);
  return file;
}

}  // namespace

TEST_CASE("Every key that a loader takes is read in some sample, and has a line that explains it") {
  const json file = file_of("sim/scenario/schema/keys.json");
  std::set<std::string> needless;
  for (const auto& line : file.at("both").items()) needless.insert("both " + line.key());
  for (const ScenarioKind kind : {ScenarioKind::serving, ScenarioKind::training}) {
    const std::string part = kind == ScenarioKind::training ? "training" : "serving";
    const SchemaNode schema = observe_samples(kind);
    CHECK(text_of(unseen_keys(schema)) == "");
    for (const auto& line : file.at(part).items()) needless.insert(part + " " + line.key());
    for (const std::string& key : schema_keys(schema)) {
      CAPTURE(key);
      CHECK((file.at(part).contains(key) || file.at("both").contains(key)));
      needless.erase(part + " " + key);
      needless.erase("both " + key);
    }
  }
  CHECK(text_of({needless.begin(), needless.end()}) == "");
}

TEST_CASE("A key that is allowed and read by no sample shows as unseen") {
  const JsonNode root = read_json_text(R"({"known": 1})", "s.json");
  ObservedFile file;
  const JsonNode watched = observed(root, file);
  watched.allow_only({"known", "new"});
  watched.at("known").as_int(0, 9);
  SchemaNode schema;
  file.merge_into(schema, root.json());
  CHECK(text_of(unseen_keys(schema)) == "new ");
}

TEST_CASE("The schema takes every scenario that comes with the project") {
  const SchemaChecker serving(json_schema(ScenarioKind::serving));
  const SchemaChecker training(json_schema(ScenarioKind::training));
  int files = 0;
  for (const char* folder : {"/scenarios", "/sim/scenario/schema/samples"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(test::source_dir() + folder)) {
      const std::string path = entry.path().string();
      if (entry.path().extension() != ".json" || path.find("/files/") != std::string::npos)
        continue;
      const bool of_training = path.find("training") != std::string::npos;
      CAPTURE(path);
      CHECK((of_training ? training : serving).refusal(json::parse(read_text_file(path))) == "");
      ++files;
    }
  }
  CHECK(files >= 30);
}

TEST_CASE("The schema refuses what a loader refuses") {
  const SchemaChecker checker(json_schema(ScenarioKind::serving));
  const json good = file_of("scenarios/deepseek_v3_320.json");
  REQUIRE(checker.refusal(good) == "");
  const std::vector<std::function<void(json&)>> changes{
      [](json& file) { file["modle"] = "deepseek-v3"; },
      [](json& file) { file["plan"]["expert_paralel"] = 8; },
      [](json& file) { file["plan"]["expert_parallel"] = "8"; },
      [](json& file) { file["plan"]["expert_parallel"] = 0; },
      [](json& file) { file["plan"]["placement"] = "eplbb"; },
      [](json& file) { file["cluster"]["nic"] = "400 GBit"; },
      [](json& file) { file["cluster"]["nic"] = 400; },
      [](json& file) {
        file["workload"]["context"] = {{"lognormal", {{"median", 1}}}};
      },
      [](json& file) { file.erase("model"); },
      [](json& file) { file["workload"].erase("trace"); },
      [](json& file) {
        file["faults"] = {{{"rank", 3}}};
      },
      [](json& file) {
        file["vary"] = {{"plan.placement", {"eplbb"}}};
      },
      [](json& file) {
        file["vary"] = {{"plan.placment", {"eplb"}}};
      },
      [](json& file) {
        file["vary"] = {{"plan.placement", json::array()}};
      },
      [](json& file) {
        file["sample"] = {{"axes", json::object()}};
      },
      [](json& file) { file["repeat"] = 0; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(i);
    CHECK(checker.refusal(changed(good, changes[i])) != "");
  }
}

TEST_CASE("An axis may give what the file itself lacks") {
  const SchemaChecker checker(json_schema(ScenarioKind::serving));
  json file = file_of("scenarios/deepseek_v3_320.json");
  file.erase("model");
  CHECK(checker.refusal(file) != "");
  file["vary"] = {{"model", {"deepseek-v3"}}};
  CHECK(checker.refusal(file) == "");
}

TEST_CASE("Bounds, names and units of the schema are those that the loader checks by") {
  const json definitions = json_schema(ScenarioKind::serving).at("definitions");
  CHECK(definitions.at("workload.steps").at("minimum") == 1);
  CHECK(definitions.at("workload.steps").at("maximum") == 1000);
  const json names = definitions.at("plan.overlap").at("enum");
  CHECK(std::find(names.begin(), names.end(), "two_batch") != names.end());
  CHECK(definitions.at("cluster.nic").at("examples") == json{"400 Gb/s"});
  CHECK(definitions.at("workload.requests_per_rank").at("anyOf").size() == 2);
  CHECK(definitions.at("plan").at("additionalProperties") == false);
}

TEST_CASE("docs/keys.md is what the schema says") {
  CHECK(read_text_file(test::source_dir() + "/docs/keys.md") == schema_page());
}
