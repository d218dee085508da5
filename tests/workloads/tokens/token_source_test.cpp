// Token input: texts and ids from files and folders, every id within the model's vocabulary.
#include "workloads/tokens/token_source.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "sim/io/files.h"
#include "sim/io/npy.h"
#include "tests/temporary_folder.h"
#include "tests/workloads/tokens/small_tokenizer.h"

namespace moesim {
namespace {

using Requests = std::vector<std::vector<std::int32_t>>;

// The one domain that the file holds.
DomainRequests only_domain(const std::string& path, const TokenReading& reading) {
  const std::vector<DomainRequests> domains = read_token_texts(path, reading);
  REQUIRE(domains.size() == 1);
  return domains.front();
}

std::string source_refusal(const std::string& path, const TokenReading& reading) {
  try {
    read_token_texts(path, reading);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

void check_names(const std::string& message, const std::vector<std::string>& parts) {
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

template <class T>
void write_ids(const std::string& path,
               NpyType type,
               const std::vector<std::int64_t>& shape,
               const std::vector<T>& ids) {
  write_npy(path, type, shape, std::as_bytes(std::span<const T>(ids)));
}

const TokenReading kBytes{.vocabulary = 256};
const TokenReading kThousand{.vocabulary = 1000};

TEST_CASE("a text is its bytes where the vocabulary is 256") {
  const test::TemporaryFolder folder;
  write_file(folder / "code.txt", "a\xC3\xA9\n");
  const DomainRequests code = only_domain(folder / "code.txt", kBytes);
  CHECK(code.domain == "code");
  CHECK(code.requests == Requests{{'a', 0xC3, 0xA9, '\n'}});
  CHECK(code.tokens() == 4);
  check_names(source_refusal(folder / "code.txt", kThousand),
              {"code.txt", "vocabulary of 256, not 1000", "tokenizer.json", ".npy"});
}

TEST_CASE("a text is encoded where a tokenizer is given, with special tokens on request") {
  const test::TemporaryFolder folder;
  write_file(folder / "chat.txt", "the the");
  nlohmann::json json = test::byte_tokenizer(test::family(test::kQwen));
  test::add_merges(json, {{"t", "h"}, {"th", "e"}});
  json["added_tokens"] = {{{"id", 400}, {"content", "<s>"}}};
  json["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {400}}}}}}};
  const Tokenizer tokenizer = test::tokenizer_of(json);
  TokenReading reading{.vocabulary = 401, .tokenizer = &tokenizer};
  CHECK(only_domain(folder / "chat.txt", reading).requests == Requests{{257, ' ', 257}});
  reading.special = Tokenizer::SpecialTokens::added;
  CHECK(only_domain(folder / "chat.txt", reading).requests == Requests{{400, 257, ' ', 257}});
  reading.vocabulary = 257;  // the model has fewer tokens than the tokenizer
  check_names(source_refusal(folder / "chat.txt", reading),
              {"chat.txt", "token 0 has the id 400", "ends at 256", "tokenizer.json"});
}

TEST_CASE("ids in a .txt are read only when asked for, a request a line") {
  const test::TemporaryFolder folder;
  write_file(folder / "ids.txt", "12 7\r\n\n  999\t0 \n5");
  TokenReading reading = kThousand;
  reading.text_holds_ids = true;
  CHECK(only_domain(folder / "ids.txt", reading).requests == Requests{{12, 7}, {999, 0}, {5}});
  write_file(folder / "ids.txt", "1 2\n3 1000\n");
  check_names(source_refusal(folder / "ids.txt", reading),
              {"ids.txt:2:3", "\"1000\" is no token id", "0 to 999"});
  for (const char* word : {"-1", "x", "1.5", "99999999999"}) {
    CAPTURE(word);
    write_file(folder / "ids.txt", std::string("1 ") + word);
    check_names(source_refusal(folder / "ids.txt", reading), {"ids.txt:1:3", word});
  }
  write_file(folder / "ids.txt", " \n");
  check_names(source_refusal(folder / "ids.txt", reading), {"holds no tokens"});
}

TEST_CASE("a .json holds a request, requests, or domains of either") {
  const test::TemporaryFolder folder;
  write_file(folder / "a.json", "[1, 2, 999]");
  CHECK(only_domain(folder / "a.json", kThousand).requests == Requests{{1, 2, 999}});
  CHECK(only_domain(folder / "a.json", kThousand).domain == "a");
  write_file(folder / "a.json", "[[1], [2, 3]]");
  CHECK(only_domain(folder / "a.json", kThousand).requests == Requests{{1}, {2, 3}});
  write_file(folder / "a.json", "{\"math\": [[4]], \"code\": [5, 6]}");
  const std::vector<DomainRequests> domains = read_token_texts(folder / "a.json", kThousand);
  REQUIRE(domains.size() == 2);
  CHECK(domains[0].domain == "code");
  CHECK(domains[0].requests == Requests{{5, 6}});
  CHECK(domains[1].domain == "math");
  CHECK(domains[1].requests == Requests{{4}});
}

TEST_CASE("a .json that holds anything else is refused with line and column") {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    write_file(folder / "a.json", text);
    return source_refusal(folder / "a.json", kThousand);
  };
  check_names(refusal("[1,\n 1000]"), {"a.json:2:2", "1000 is out of range", "0 to 999"});
  check_names(refusal("[[1], [2, -3]]"), {"a.json:1:11", "1.1", "-3 is out of range"});
  check_names(refusal("[1, 2.5]"), {"a.json:1:5", "whole number"});
  check_names(refusal("[1, [2]]"), {"a.json:1:5", "whole number"});
  check_names(refusal("[[1], 2]"), {"a.json:1:7", "must be a list"});
  check_names(refusal("[[1], []]"), {"a.json:1:7", "without tokens"});
  check_names(refusal("[]"), {"holds no token ids"});
  check_names(refusal("{}"), {"holds no domain"});
  check_names(refusal("{\"a\": {}}"), {"a.json:1:7: a", "must be a list"});
  check_names(refusal("7"), {"must be a list of ids"});
  check_names(refusal("[1"), {"not valid JSON"});
}

TEST_CASE("a .npy of any type of whole number is a request or requests") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.npy";
  write_ids<std::uint16_t>(path, NpyType::u16, {3}, {1, 2, 999});
  CHECK(only_domain(path, kThousand).requests == Requests{{1, 2, 999}});
  write_ids<std::int64_t>(path, NpyType::i64, {2, 2}, {1, 2, 3, 4});
  CHECK(only_domain(path, kThousand).requests == Requests{{1, 2}, {3, 4}});
  write_ids<std::uint8_t>(path, NpyType::u8, {1}, {255});
  CHECK(only_domain(path, kBytes).requests == Requests{{255}});
}

TEST_CASE("a .npy of other shapes, types or ids is refused with the element") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.npy";
  write_ids<std::int32_t>(path, NpyType::i32, {2, 2}, {1, 2, 3, 1000});
  check_names(source_refusal(path, kThousand), {"a.npy", "element [1, 1] is 1000", "0 to 999"});
  write_ids<std::int32_t>(path, NpyType::i32, {2}, {1, -1});
  check_names(source_refusal(path, kThousand), {"element [1] is -1"});
  write_ids<float>(path, NpyType::f32, {1}, {1});
  check_names(source_refusal(path, kThousand), {"<f4", "not whole numbers"});
  write_ids<std::int32_t>(path, NpyType::i32, {1, 1, 1}, {1});
  check_names(source_refusal(path, kThousand), {"3 dimensions", "[requests, n]"});
  write_ids<std::int32_t>(path, NpyType::i32, {}, {1});
  check_names(source_refusal(path, kThousand), {"0 dimensions"});
  write_ids<std::int32_t>(path, NpyType::i32, {4, 0}, {});
  check_names(source_refusal(path, kThousand), {"holds no token ids"});
  write_file(path, "no array");
  check_names(source_refusal(path, kThousand), {"a.npy: byte 0"});
}

TEST_CASE("a folder's files are read in the order of their names, others are passed over") {
  const test::TemporaryFolder folder;
  write_file(folder / "b.txt", "x");
  write_file(folder / "a.json", "[[1], [2]]");
  write_ids<std::uint16_t>(folder / "c.npy", NpyType::u16, {1}, {3});
  write_file(folder / "README.md", "no tokens");
  make_folder(folder / "d.txt");
  const std::vector<DomainRequests> domains = read_token_texts(folder.path(), kBytes);
  REQUIRE(domains.size() == 3);
  CHECK(domains[0].domain == "a");
  CHECK(domains[1].requests == Requests{{'x'}});
  CHECK(domains[2].requests == Requests{{3}});
  write_file(folder / "a.txt", "y");
  check_names(source_refusal(folder.path(), kBytes),
              {"a.txt", "\"a\" comes from another file already"});
}

TEST_CASE("missing, empty and unreadable inputs are refused by name") {
  const test::TemporaryFolder folder;
  check_names(source_refusal(folder / "none", kBytes), {"none: no such file or folder"});
  check_names(source_refusal(folder.path(), kBytes), {"holds no <domain>.txt"});
  write_file(folder / "a.txt", "");
  check_names(source_refusal(folder / "a.txt", kBytes), {"a.txt", "holds no tokens"});
  write_file(folder / "a.jsn", "[1]");
  check_names(source_refusal(folder / "a.jsn", kBytes), {"\".jsn\"", "did you mean \".json\""});
  check_names(source_refusal(folder / "a.txt", TokenReading{}), {"a vocabulary of 0 tokens"});
}

}  // namespace
}  // namespace moesim
