// Opening a large trace by its header reads nothing else.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"
#include "tests/temporary_folder.h"

namespace moesim {
namespace {

// A lawful header over a hole: 58 MoE layers, top-8 of 256.
void write_sparse_trace(const std::string& path, std::uint64_t tokens) {
  const auto tensor = [](const char* name, const char* type, const std::string& shape,
                         std::uint64_t begin, std::uint64_t end) {
    return std::string("\"") + name + R"(": {"dtype": ")" + type + R"(", "shape": [)" + shape +
           R"(], "data_offsets": [)" + std::to_string(begin) + ", " + std::to_string(end) + "]}";
  };
  std::string layers;
  for (int layer = 3; layer < 61; ++layer)
    layers += (layer == 3 ? "" : ",") + std::to_string(layer);
  const std::string count = std::to_string(tokens);
  const std::uint64_t experts = 12 * tokens, labels = experts + tokens * 58 * 8 * 2;
  std::string header =
      R"({"__metadata__": {"format_version": "1", "model": "m", "experts": "256", "top_k": "8", )"
      R"("layer_ids": "[)" +
      layers + R"(]", "origin": "synthetic", "seed": "0", "domains": "[\"a\"]", "data_sha256": ")" +
      std::string(64, '0') + R"("}, )" + tensor("request", "I32", count, 0, 4 * tokens) + ", " +
      tensor("position", "I32", count, 4 * tokens, 8 * tokens) + ", " +
      tensor("step", "I32", count, 8 * tokens, 12 * tokens) + ", " +
      tensor("experts", "U16", count + ", 58, 8", experts, labels) + ", " +
      tensor("domain", "U8", count, labels, labels + tokens) + ", " +
      tensor("phase", "U8", count, labels + tokens, labels + 2 * tokens) + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const std::uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), 8);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  file.close();
  std::filesystem::resize_file(path, 8 + header.size() + labels + 2 * tokens);
}

// Pages of a mapping that are in memory.
std::size_t resident_pages(const void* begin, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(begin) / page * page;
  const std::size_t length = bytes + (reinterpret_cast<std::uintptr_t>(begin) - first);
  std::vector<unsigned char> in_memory((length + page - 1) / page);
  REQUIRE(::mincore(reinterpret_cast<void*>(first), length, in_memory.data()) == 0);
  std::size_t count = 0;
  for (const unsigned char flags : in_memory) count += flags & 1U;
  return count;
}

}  // namespace

TEST_CASE("opening a 10 GB trace by its header touches nothing behind it") {
  const test::TemporaryFolder folder;
  const std::uint64_t tokens = 10'000'000'000 / (58 * 8 * 2 + 14) + 1;
  write_sparse_trace(folder / "t", tokens);
  REQUIRE(std::filesystem::file_size(folder / "t") > 10'000'000'000);
  const RoutingTrace trace = open_trace(folder / "t", TraceCheck::header);
  CHECK(trace.tokens() == tokens);
  CHECK(trace.moe_layers() == 58);
  const auto* begin = reinterpret_cast<const char*>(trace.request.data());
  const auto* end = reinterpret_cast<const char*>(trace.phase.data() + trace.phase.size());
  // What the kernel reads ahead behind the header, and no more.
  const std::size_t ahead =
      (std::size_t{1} << 20) / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  CHECK(resident_pages(begin, static_cast<std::size_t>(end - begin)) <= ahead);
}

}  // namespace moesim
