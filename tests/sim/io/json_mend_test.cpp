#include "sim/io/json_mend.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

using namespace moesim;

namespace {

JsonNode file() {
  return read_json_text("{\"list\": [1,\n 2,\n 3],\n \"part\": {\"a\": 4,\n  \"b.c\": 5}}",
                        "x.json");
}

std::string place(const JsonNode& node) {
  const Location where = node.where();
  return std::to_string(where.line) + ":" + std::to_string(where.column);
}

}  // namespace

TEST_CASE("Taking out an element leaves the others where they stood in the file") {
  const JsonNode shorter = without(file(), "/list/0");
  CHECK(shorter.at("list").json() == nlohmann::json{2, 3});
  CHECK(place(shorter.at("list").items()[0]) == "2:2");
  CHECK(place(shorter.at("list").items()[1]) == "3:2");
  CHECK(place(shorter.at("part").at("a")) == "4:16");
}

TEST_CASE("Taking out a key leaves its siblings") {
  const JsonNode less = without(file(), "/part/a");
  CHECK(!less.at("part").has("a"));
  CHECK(place(less.at("part").at("b.c")) == "5:10");
}

TEST_CASE("A value that replaces another stands where that one did, with all that is in it") {
  const JsonNode other = replaced(file(), "/part/a", {{"x", {1, 2}}});
  CHECK(other.at("part").at("a").at("x").items()[1].as_int(0, 9) == 2);
  CHECK(place(other.at("part").at("a").at("x").items()[1]) == "4:16");
  const JsonNode added = replaced(file(), "/part/new", 7);
  CHECK(place(added.at("part").at("new")) == place(file().at("part")));
}

TEST_CASE("A key that is named anew keeps its value and place") {
  const JsonNode other = renamed(file(), "/list", "row");
  CHECK(!other.has("list"));
  CHECK(place(other.at("row").items()[2]) == "3:2");
}

TEST_CASE("A place is found again by what stands there, or would") {
  const JsonNode root = file();
  CHECK(pointer_at(root, root.at("list").items()[1].where()) == "/list/1");
  CHECK(pointer_at(root, root.at("part").at("b.c").where()) == "/part/b.c");
  try {
    root.at("part").at("gone");
    FAIL("not missing");
  } catch (const InputError& error) {
    CHECK(pointer_at(root, error.where()) == "/part/gone");
  }
  // A value that an axis put elsewhere stands where the axis has it.
  const JsonNode varied = root.with("part.a", root.at("list").items()[2]);
  CHECK(varied.at("part").at("a").where().pointer == "/part/a");
  CHECK(pointer_at(root, varied.at("part").at("a").where()) == "/list/2");
  CHECK(pointer_at(root, Location{"y.json", 1, 1}) == "");
}
