// The trace file: what is written comes back by mapping, and every lie is refused by name.
#include "sim/trace/routing_trace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/safetensors.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  CHECK(text.find(part) != std::string::npos);
}

std::string refusal_of(const TraceColumns& columns) {
  return message_of([&] { make_trace(columns); });
}

template <class T>
std::vector<T> copy_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}

// Kilobytes of anonymous memory of this process.
long anonymous_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0) return std::stol(line.substr(8));
  return -1;
}

// The good file's tensors and metadata, changed by `change`, written and opened with `verify`.
struct FileParts {
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;
  TensorView& tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const TensorView& view) { return view.name == name; });
  }
};

std::string refusal_of_file(const std::function<void(FileParts&)>& change, bool verify = false) {
  const test::TemporaryFolder folder;
  write_trace(folder / "good", make_trace(hand_made_columns()));
  const SafetensorsFile good(folder / "good");
  FileParts parts;
  // Wide elements first, as the format wants it.
  for (const char* name : {"request", "position", "step", "experts", "weights", "domain", "phase"})
    parts.tensors.push_back(*good.find(name));
  parts.metadata = good.metadata();
  change(parts);
  write_safetensors(folder / "bad", parts.tensors, parts.metadata);
  const std::string message = message_of([&] { open_trace(folder / "bad", verify); });
  check_contains(message, folder / "bad");
  return message;
}

}  // namespace

TEST_CASE("a written trace is read back column by column") {
  const test::TemporaryFolder folder;
  TraceColumns columns = hand_made_columns();
  columns.source_rank = {0, 0, 1, 1, 2, 2};
  const RoutingTrace made = make_trace(columns);
  write_trace(folder / "t.safetensors", made);
  const RoutingTrace read = open_trace(folder / "t.safetensors", true);

  CHECK(read.header.model == "hand");
  CHECK(read.header.experts == 4);
  CHECK(read.header.top_k == 2);
  CHECK(read.header.layer_ids == std::vector<int>{1, 3});
  CHECK(read.header.origin == "forward");
  CHECK(read.header.seed == 42);
  CHECK(read.header.domains == std::vector<std::string>{"code", "prose"});
  CHECK(copy_of(read.experts) == columns.experts);
  CHECK(copy_of(read.weights) == columns.weights);
  CHECK(copy_of(read.request) == columns.request);
  CHECK(copy_of(read.position) == columns.position);
  CHECK(copy_of(read.step) == columns.step);
  CHECK(copy_of(read.source_rank) == columns.source_rank);
  CHECK(copy_of(read.domain) == columns.domain);
  CHECK(copy_of(read.phase) == columns.phase);
  CHECK(copy_of(read.choice(2, 1)) == std::vector<std::uint16_t>{2, 1});
}

TEST_CASE("weights and source ranks may be left out") {
  const test::TemporaryFolder folder;
  TraceColumns columns = hand_made_columns();
  columns.weights.clear();
  write_trace(folder / "t", make_trace(columns));
  const RoutingTrace read = open_trace(folder / "t", true);
  CHECK(read.weights.empty());
  CHECK(read.source_rank.empty());
}

TEST_CASE("a trace's identity is the SHA-256 of its columns in file order") {
  const test::TemporaryFolder folder;
  const TraceColumns columns = hand_made_columns();
  Sha256 hash;
  for (const auto* column : {&columns.request, &columns.position, &columns.step})
    hash.add(std::as_bytes(std::span(*column)));
  hash.add(std::as_bytes(std::span(columns.experts)));
  hash.add(std::as_bytes(std::span(columns.weights)));
  hash.add(std::as_bytes(std::span(columns.domain)));
  hash.add(std::as_bytes(std::span(columns.phase)));
  const std::string expected = hash.hex();
  const RoutingTrace made = make_trace(columns);
  CHECK(made.header.data_sha256 == expected);
  write_trace(folder / "t", made);
  CHECK(open_trace(folder / "t").header.data_sha256 == expected);

  TraceColumns other = columns;
  other.experts[0] = 3;
  CHECK(make_trace(other).header.data_sha256 != expected);
}

TEST_CASE("a trace file is mapped, not copied") {
  const test::TemporaryFolder folder;
  constexpr std::size_t kTokens = 200'000;  // x 2 layers x 8 ids x 2 bytes = 6.4 MB of ids
  {
    TraceColumns columns;
    columns.header = {1, "large", 64, 8, {0, 1}, "synthetic", 1, {"all"}, ""};
    for (std::size_t i = 0; i < kTokens * 16; ++i)
      columns.experts.push_back(static_cast<std::uint16_t>(i * 7 % 64));
    for (auto* column : {&columns.request, &columns.position, &columns.step})
      column->assign(kTokens, 0);
    columns.domain.assign(kTokens, 0);
    columns.phase.assign(kTokens, 0);
    write_trace(folder / "t", make_trace(std::move(columns)));
  }
  const long before = anonymous_kilobytes();
  const RoutingTrace trace = open_trace(folder / "t", true);
  REQUIRE(before > 0);
  CHECK(trace.tokens() == kTokens);
#ifndef MOESIM_SANITIZE  // shadow memory is anonymous
  CHECK(anonymous_kilobytes() - before < 1000);
#endif
}

TEST_CASE("a trace outlives its file's name") {
  const test::TemporaryFolder folder;
  write_trace(folder / "t", make_trace(hand_made_columns()));
  const RoutingTrace trace = open_trace(folder / "t");
  const RoutingTrace copy = trace;
  std::filesystem::remove(folder / "t");
  CHECK(copy.choice(4, 0)[0] == 3);
}

TEST_CASE("an expert id beyond the experts is refused with row, layer and byte on verify") {
  const test::TemporaryFolder folder;
  write_trace(folder / "t", make_trace(hand_made_columns()));
  std::string bytes = read_text_file(folder / "t");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  // 3 i32 columns of 6 tokens, then ids: row 2, layer 3 (index 1), second choice = id 2x4 + 3.
  const std::size_t offset = 8 + header + 3 * 6 * 4 + 11 * 2;
  bytes[offset] = 4;
  write_file(folder / "t", bytes);
  const std::string message = message_of([&] { open_trace(folder / "t", true); });
  check_contains(message, "tensor experts, token row 2, byte " + std::to_string(offset));
  check_contains(message, "expert 4 in layer 3, allowed: 0 to 3");
  CHECK_NOTHROW(open_trace(folder / "t", false));
}

TEST_CASE("a changed byte is found by the SHA-256 on verify") {
  const test::TemporaryFolder folder;
  write_trace(folder / "t", make_trace(hand_made_columns()));
  std::string bytes = read_text_file(folder / "t");
  bytes[bytes.size() - 1] = 0;  // the last token's phase: 1 before, 0 is lawful too
  write_file(folder / "t", bytes);
  check_contains(message_of([&] { open_trace(folder / "t", true); }), "the file was changed");
}

TEST_CASE("a truncated trace file is refused") {
  const test::TemporaryFolder folder;
  write_trace(folder / "t", make_trace(hand_made_columns()));
  const std::string bytes = read_text_file(folder / "t");
  write_file(folder / "t", std::string_view(bytes).substr(0, bytes.size() - 5));
  check_contains(message_of([&] { open_trace(folder / "t"); }), "truncated");
}

TEST_CASE("a file that is no trace, or whose tensors lie, is refused by tensor") {
  check_contains(
      refusal_of_file([](FileParts& parts) { parts.tensors.erase(parts.tensors.begin()); }),
      "tensor request is missing");
  check_contains(refusal_of_file([](FileParts& parts) { parts.tensors.pop_back(); }),
                 "tensor phase is missing");
  check_contains(refusal_of_file([](FileParts& parts) { parts.tensor("step").name = "steps"; }),
                 "unknown tensor \"steps\"; did you mean \"step\"?");
  check_contains(
      refusal_of_file([](FileParts& parts) { parts.tensor("experts").dtype = Dtype::bf16; }),
      "tensor experts holds BF16, expected U16");
  check_contains(refusal_of_file([](FileParts& parts) {
                   parts.tensor("weights").shape = {6, 4};
                 }),
                 "tensor weights has shape [6, 4], the header implies [6, 2, 2]");
  check_contains(refusal_of_file([](FileParts& parts) { parts.metadata["top_k"] = "4"; }),
                 "tensor experts has shape [6, 2, 2], the header implies [6, 2, 4]");
  check_contains(refusal_of_file([](FileParts& parts) {
                   // Six bytes of phases before the 4-byte columns.
                   std::rotate(parts.tensors.begin(), parts.tensors.end() - 1, parts.tensors.end());
                 }),
                 "no multiple of 4");
}

TEST_CASE("metadata that is missing or wrong is refused by key") {
  const auto with = [](const std::string& key, const std::string& value) {
    return refusal_of_file([&](FileParts& parts) { parts.metadata[key] = value; });
  };
  for (const char* key : {"format_version", "model", "experts", "top_k", "layer_ids", "origin",
                          "seed", "domains", "data_sha256"})
    check_contains(refusal_of_file([&](FileParts& parts) { parts.metadata.erase(key); }),
                   std::string("__metadata__ lacks \"") + key + "\"");
  check_contains(with("format_version", "2"), "format_version 2 is not known");
  check_contains(with("experts", "many"), "experts is \"many\", expected a whole number");
  check_contains(with("experts", "65535"), "experts is 65535, allowed: 1 to 65534");
  check_contains(with("experts", "0"), "allowed: 1 to 65534");
  check_contains(with("top_k", "5"), "top_k is 5, allowed: 1 to 4");
  check_contains(with("layer_ids", "[3, 1]"), "layer_ids must ascend, but 1 follows 3 at place 1");
  check_contains(with("layer_ids", "[3, 3]"), "layer_ids must ascend");
  check_contains(with("layer_ids", "[1, "), "layer_ids");
  check_contains(with("origin", "forwards"), "did you mean \"forward\"?");
  check_contains(with("seed", "-1"), "seed is \"-1\"");
  check_contains(with("domains", "[]"), "0 domain names");
  check_contains(with("domains", "[\"code\"]"), "tensor domain, token row 4, byte");
  check_contains(with("data_sha256", "abc"), "expected 64 lower-case hexadecimal digits");
}

TEST_CASE("columns that break a law make no trace") {
  const auto changed = [](const std::function<void(TraceColumns&)>& change) {
    TraceColumns columns = hand_made_columns();
    change(columns);
    return refusal_of(columns);
  };
  check_contains(changed([](TraceColumns& c) { c.experts[9] = 4; }),
                 "token row 2: expert 4 in layer 1");
  check_contains(changed([](TraceColumns& c) { c.weights[5] = 0x7C01; }), "weight is not finite");
  check_contains(changed([](TraceColumns& c) { c.phase[3] = 2; }), "token row 3: phase 2");
  check_contains(changed([](TraceColumns& c) { c.domain[1] = 2; }), "token row 1: domain 2");
  check_contains(changed([](TraceColumns& c) { c.step.pop_back(); }),
                 "column step has 5 values, expected 6");
  check_contains(changed([](TraceColumns& c) { c.experts.pop_back(); }),
                 "column experts has 23 values, expected 24");
  check_contains(changed([](TraceColumns& c) { c.request.clear(); }), "no tokens");
  check_contains(changed([](TraceColumns& c) { c.header.layer_ids = {-1, 3}; }), "below 0");
}

}  // namespace moesim
