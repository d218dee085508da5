// The gallery shows every chart there is.
#include <doctest/doctest.h>

#include <filesystem>

#include "analysis/analysis.h"
#include "sim/io/files.h"
#include "tests/source_dir.h"

using namespace moesim;

TEST_CASE("Every chart has its picture in the gallery, and no other is there") {
  const std::string docs = test::source_dir() + "/docs",
                    page = read_text_file(docs + "/gallery.md");
  const std::vector<std::string> charts = Catalog<ChartPart>::instance().names();
  for (const std::string& chart : charts) {
    CAPTURE(chart);
    const std::string picture = "images/gallery/" + chart + ".svg";
    CHECK(page.find("](" + picture + ")") != std::string::npos);
    CHECK(std::filesystem::exists(docs + "/" + picture));
  }
  std::size_t pictures = 0;
  for (const auto& entry : std::filesystem::directory_iterator(docs + "/images/gallery"))
    pictures += entry.path().extension() == ".svg" ? 1 : 0;
  CHECK(pictures == charts.size());
}
