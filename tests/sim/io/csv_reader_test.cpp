// Tables: cells, quotes and places of mistakes.
#include "sim/io/csv_reader.h"

#include <doctest/doctest.h>

#include "sim/io/files.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using test::TemporaryFolder;

TEST_CASE("Cells may be quoted, hold commas and quotes, and be empty") {
  const TemporaryFolder folder;
  write_file(folder / "t.csv", "a,b,c\r\n\"x, y\",\"say \"\"hi\"\"\",\r\n\r\n1,2.5,z\n");
  CsvTable table;
  read_csv(folder / "t.csv", table);
  CHECK(table.heads == std::vector<std::string>{"a", "b", "c"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].at("a").text == "x, y");
  CHECK(table.rows[0].at("b").text == "say \"hi\"");
  CHECK(table.rows[0].find("c") == nullptr);
  CHECK(table.rows[0].find("d") == nullptr);
  CHECK(table.rows[1].at("b").as_number() == 2.5);
  CHECK(table.rows[1].at("b").where.line == 4);
  CHECK(table.rows[1].at("b").where.column == 3);
  CHECK(table.has("c"));
  CHECK_FALSE(table.has("d"));
}

TEST_CASE("A table's mistakes are named with their place") {
  const auto fails = [](const std::string& text, const std::string& place) {
    const TemporaryFolder folder;
    write_file(folder / "t.csv", text);
    CsvTable table;
    try {
      read_csv(folder / "t.csv", table);
      table.rows.at(0).at("b").as_number();
      FAIL("no error");
    } catch (const InputError& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find(place) != std::string::npos);
    }
  };
  fails("", "t.csv:1:1");
  fails("a,b\n1,\"2\n", "t.csv:2:3");
  fails("a,b\n1,2,3\n", "t.csv:2:1");
  fails("a,b\n1,0\n", "t.csv:2:3");
  fails("a,b\n1,2x\n", "t.csv:2:3");
  fails("a,b\n1,\n", "is empty");
  fails("a,c\n1,2\n", "no such column");
}
