// Python's Infinity in configurations.
#include "sim/io/python_json.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"

namespace moesim {
namespace {

TEST_CASE("Infinity is a number outside strings only, and places stay") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/config.json";
  write_file(path,
             "{\"limit\": [0.0, Infinity, -Infinity], \"name\": \"to \\\"Infinity\", \"x\": 7}");
  const JsonNode root = read_python_json_file(path);
  CHECK(root.at("limit").items()[1].as_number() == 1e308);
  CHECK(root.at("limit").items()[2].as_number() == -1e308);
  CHECK(root.at("name").as_string() == "to \"Infinity");
  const std::string text = read_text_file(path);
  CHECK(root.at("x").where().column == static_cast<int>(text.find("7}")) + 1);
  CHECK_THROWS_AS(read_json_file(path), InputError);  // no JSON anywhere else
}

}  // namespace
}  // namespace moesim
