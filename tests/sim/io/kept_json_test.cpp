// Documents read once: the same one until the file changes.
#include "sim/io/kept_json.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "sim/io/files.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using moesim::test::TemporaryFolder;

TEST_CASE("A kept document is not read again until its file changes") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.json";
  write_file(file, R"({"a": 1})");
  const JsonNode first = kept_json_file(file);
  CHECK(&kept_json_file(file).json() == &first.json());
  write_file(file, R"({"a": 23})");
  CHECK(kept_json_file(file).at("a").as_int(0, 99) == 23);
  CHECK(first.at("a").as_int(0, 99) == 1);  // who holds the old one keeps it
  std::filesystem::remove(file);
  CHECK_THROWS_WITH_AS(kept_json_file(file), doctest::Contains("a.json"), InputError);
}

TEST_CASE("All JSON files of a folder are kept at once, others are left alone") {
  const TemporaryFolder folder;
  write_file(folder / "b.json", R"({"b": 2})");
  write_file(folder / "notes.txt", "no JSON");
  keep_json_files(folder / "");
  CHECK(kept_json_file(folder / "b.json").at("b").as_int(0, 9) == 2);
}
