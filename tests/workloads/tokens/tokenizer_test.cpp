// Tokenizers of a byte-level vocabulary: merges worked out by hand, added tokens, normalisers,
// templates, decoding, and every refusal with its place.
#include "workloads/tokens/tokenizer.h"

#include <doctest/doctest.h>

#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "tests/workloads/tokens/small_tokenizer.h"

namespace moesim {
namespace {

using nlohmann::json;
using test::add_merges;
using test::byte_level_step;
using test::byte_tokenizer;
using test::family;
using test::tokenizer_of;
using test::tokenizer_refusal;
using Ids = std::vector<std::int32_t>;

Ids encoded(const json& tokenizer, const std::string& text) {
  return tokenizer_of(tokenizer).encode(text, "text");
}

Ids bytes_as_ids(const std::string& text) {
  Ids ids;
  for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  return ids;
}

void check_tells(const std::string& message, const std::vector<std::string>& parts) {
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

json added_token(int id, const std::string& content, bool special = true) {
  return {{"id", id},        {"content", content},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", !special}, {"special", special}};
}

json plain_tokenizer() { return byte_tokenizer(family(test::kLlama3)); }

TEST_CASE("without merges every byte is a token and the text comes back") {
  const Tokenizer tokenizer = tokenizer_of(plain_tokenizer());
  const std::string text = "caf\u00e9 \n\t汉字😀 \u00ad\x7f";
  const Ids ids = tokenizer.encode(text, "text");
  CHECK(ids == bytes_as_ids(text));
  CHECK(tokenizer.decode(ids) == text);
  CHECK(tokenizer.vocabulary() == 256);
  CHECK(tokenizer.encode("", "text").empty());
  CHECK(tokenizer.encode(std::string(1, '\0'), "text") == Ids{0});
}

TEST_CASE("pairs are merged in the order they were learned, leftmost first") {
  // 256 "lo", 257 "low", 258 "er", 259 "ne", 260 "lower"
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"l", "o"}, {"lo", "w"}, {"e", "r"}, {"n", "e"}, {"low", "er"}});
  CHECK(encoded(tokenizer, "lower") == Ids{260});
  CHECK(encoded(tokenizer, "low") == Ids{257});
  CHECK(encoded(tokenizer, "newer") == Ids{259, 'w', 258});  // "ne" and "er", no "we"
  CHECK(encoded(tokenizer, "ner") == Ids{'n', 258});         // "er" was learned before "ne"
  CHECK(encoded(tokenizer, "lolo") == Ids{256, 256});
  CHECK(encoded(tokenizer, "lowest lower") == Ids{257, 'e', 's', 't', ' ', 260});
}

TEST_CASE("a run of one letter is merged from the left") {
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"a", "a"}, {"aa", "a"}, {"aa", "aa"}});  // 256, 257, 258
  CHECK(encoded(tokenizer, "aaa") == Ids{257});                    // aa a -> rank 1
  CHECK(encoded(tokenizer, "aaaa") == Ids{258});                   // aa aa, no aa+a to join
  CHECK(encoded(tokenizer, "aaaaa") == Ids{256, 257});             // aa aa a: rank 1 before rank 2
}

TEST_CASE("merges do not cross the words the pattern cuts") {
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"a", " "}, {" ", "b"}, {"1", "2"}, {"3", "4"}});
  CHECK(encoded(tokenizer, "a b") == Ids{'a', 257});        // "a", " b"
  CHECK(encoded(tokenizer, "1234") == Ids{258, '3', '4'});  // "123", "4"
}

TEST_CASE("merges of bytes make characters, and pieces of a character decode together") {
  json tokenizer = plain_tokenizer();
  // U+6C49 is E6 B1 89; U+1F600 is F0 9F 98 80.
  add_merges(tokenizer, {{"\xE6", "\xB1"}, {"\xE6\xB1", "\x89"}, {"\xF0", "\x9F"}});
  const Tokenizer made = tokenizer_of(tokenizer);
  CHECK(made.encode("汉", "text") == Ids{257});
  CHECK(made.encode("😀", "text") == Ids{258, 0x98, 0x80});
  CHECK(made.decode(Ids{258, 0x98, 0x80}) == "😀");
  CHECK(made.decode(Ids{258, 0x98, 'a'}) == "\uFFFDa");  // one mark for the broken part
  CHECK(made.token_bytes(258) == "\xF0\x9F");
}

TEST_CASE("merges as strings and as pairs are the same") {
  json strings = plain_tokenizer(), pairs = plain_tokenizer();
  add_merges(strings, {{"t", "h"}, {"th", "e"}});
  add_merges(pairs, {{"t", "h"}, {"th", "e"}}, true);
  CHECK(encoded(strings, "the thin") == encoded(pairs, "the thin"));
  strings["model"]["merges"].insert(strings["model"]["merges"].begin(), "#version: 0.2");
  CHECK(encoded(strings, "the") == Ids{257});
}

TEST_CASE("ignore_merges takes a word that is a token whole, as Llama 3 does") {
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"b", "c"}});
  tokenizer["model"]["vocab"]["abc"] = 300;  // no merge leads here
  CHECK(encoded(tokenizer, "abc abc") == Ids{'a', 256, ' ', 'a', 256});
  tokenizer["model"]["ignore_merges"] = true;
  CHECK(encoded(tokenizer, "abc") == Ids{300});
  CHECK(encoded(tokenizer, "abcd") == Ids{'a', 256, 'd'});
}

TEST_CASE("a long word is merged as a short one is") {
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"a", "b"}, {"ab", "ab"}});
  std::string text;
  for (int i = 0; i < 40000; ++i) text += "ab";
  CHECK(encoded(tokenizer, text) == Ids(20000, 257));
}

TEST_CASE("added tokens are found in the text, the longest first, and cut it") {
  json tokenizer = plain_tokenizer();
  add_merges(tokenizer, {{"a", "<"}});
  tokenizer["added_tokens"] = {added_token(300, "<|a|>"), added_token(301, "<|a|>b"),
                               added_token(302, "<tool>", false)};
  const Tokenizer made = tokenizer_of(tokenizer);
  CHECK(made.encode("a<|a|>c", "text") == Ids{'a', 300, 'c'});
  CHECK(made.encode("<|a|>b<|a|><tool>", "text") == Ids{301, 300, 302});
  CHECK(made.encode("<|a|", "text") == bytes_as_ids("<|a|"));
  CHECK(made.vocabulary() == 303);
  CHECK(made.id_of("<tool>") == 302);
  CHECK(made.id_of("a") == 'a');
  CHECK(!made.id_of("none"));
  const Ids ids{300, 'x', 302};
  CHECK(made.decode(ids) == "x<tool>");  // special ones are left out
  CHECK(made.decode(ids, Tokenizer::SpecialTokens::added) == "<|a|>x<tool>");
  CHECK(made.is_special(300));
  CHECK(!made.is_special(302));
}

TEST_CASE("an added token that the vocabulary holds too keeps its id") {
  json tokenizer = plain_tokenizer();
  tokenizer["model"]["vocab"]["<｜begin｜>"] = 256;  // DeepSeek lists its special tokens so
  tokenizer["added_tokens"] = json::array({added_token(256, "<｜begin｜>")});
  const Tokenizer made = tokenizer_of(tokenizer);
  CHECK(made.encode("<｜begin｜>a", "text") == Ids{256, 'a'});
  CHECK(made.decode(Ids{256}, Tokenizer::SpecialTokens::added) == "<｜begin｜>");
}

TEST_CASE("single_word, lstrip and rstrip of added tokens hold") {
  json tokenizer = plain_tokenizer();
  json mask = added_token(300, "MX"), left = added_token(301, "<l>"),
       right = added_token(302, "<r>");
  mask["single_word"] = true;
  left["lstrip"] = true;
  right["rstrip"] = true;
  tokenizer["added_tokens"] = {mask, left, right};
  CHECK(encoded(tokenizer, "MX aMX MXa .MX.") ==
        Ids{300, ' ', 'a', 'M', 'X', ' ', 'M', 'X', 'a', ' ', '.', 300, '.'});
  CHECK(encoded(tokenizer, "éMX") == Ids{0xC3, 0xA9, 'M', 'X'});  // a letter, whatever its size
  CHECK(encoded(tokenizer, "a \n<l> b") == Ids{'a', 301, ' ', 'b'});
  CHECK(encoded(tokenizer, "a <r> \n b") == Ids{'a', ' ', 302, 'b'});
  CHECK(encoded(tokenizer, "<r> <l>") == Ids{302, 301});  // the space went with the first
}

TEST_CASE("a normaliser changes the text between added tokens, and those that ask for it") {
  json tokenizer = plain_tokenizer();
  tokenizer["normalizer"] = {{"type", "NFC"}};
  CHECK(encoded(tokenizer, "e\u0301") == bytes_as_ids("\u00e9"));
  CHECK(encoded(tokenizer, "plain") == bytes_as_ids("plain"));
  tokenizer["normalizer"] = {{"type", "NFD"}};
  CHECK(encoded(tokenizer, "\u00e9") == bytes_as_ids("e\u0301"));
  tokenizer["normalizer"] = {{"type", "NFKC"}};
  CHECK(encoded(tokenizer, "\ufb01") == bytes_as_ids("fi"));
  tokenizer["normalizer"] = {{"type", "NFKD"}};
  CHECK(encoded(tokenizer, "\u00bd") == bytes_as_ids("1\u20442"));
  tokenizer["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", {{{"type", "NFC"}}, {{"type", "Prepend"}, {"prepend", "_"}}}}};
  CHECK(encoded(tokenizer, "e\u0301") == bytes_as_ids("_\u00e9"));
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["added_tokens"] = {added_token(300, "<e\u0301>"), added_token(301, "[e\u0301]", false)};
  CHECK(encoded(tokenizer, "<e\u0301>") == Ids{300});  // in the text as it is
  CHECK(encoded(tokenizer, "<\u00e9>") == bytes_as_ids("<\u00e9>"));
  CHECK(encoded(tokenizer, "[\u00e9]") == Ids{301});  // in normalised text
}

TEST_CASE("the template's special tokens are put around the ids when asked for") {
  json tokenizer = plain_tokenizer();
  tokenizer["added_tokens"] = {added_token(300, "<s>"), added_token(301, "</s>")};
  const json single = {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                       {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                       {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}};
  const json processor = {{"type", "TemplateProcessing"},
                          {"single", single},
                          {"pair", json::array()},
                          {"special_tokens",
                           {{"<s>", {{"id", "<s>"}, {"ids", {300}}, {"tokens", {"<s>"}}}},
                            {"</s>", {{"id", "</s>"}, {"ids", {301}}, {"tokens", {"</s>"}}}}}}};
  const json in_sequence = {{"type", "Sequence"}, {"processors", {byte_level_step(), processor}}};
  for (const json& one : {processor, in_sequence}) {
    tokenizer["post_processor"] = one;
    const Tokenizer made = tokenizer_of(tokenizer);
    CHECK(made.encode("a", "text") == Ids{'a'});
    CHECK(made.encode("a", "text", Tokenizer::SpecialTokens::added) == Ids{300, 'a', 301});
  }
  const auto refusal = [&](const json& one) {
    tokenizer["post_processor"] = one;
    return tokenizer_refusal(tokenizer);
  };
  json wrong = processor;
  wrong["special_tokens"].erase("<s>");
  check_tells(refusal(wrong), {"post_processor.single.0", "does not define \"<s>\""});
  wrong = processor;
  wrong["special_tokens"]["<s>"]["ids"] = {999};
  check_tells(refusal(wrong), {"post_processor", "999 is not in the vocabulary"});
  wrong = processor;
  wrong["single"].erase(1);
  check_tells(refusal(wrong), {"post_processor.single", "must hold the sequence A"});
  wrong["single"] = {single[1], single[1]};
  check_tells(refusal(wrong), {"post_processor.single.1.Sequence", "once"});
  check_tells(refusal({{"type", "Sequence"}, {"processors", {processor, processor}}}),
              {"post_processor.processors.1", "only one template"});
  check_tells(refusal({{"type", "RobertaProcessing"}}),
              {"unknown post-processor \"RobertaProcessing\"", "TemplateProcessing"});
}

TEST_CASE("a text that is not UTF-8 is refused with its byte") {
  const Tokenizer made = tokenizer_of(plain_tokenizer());
  const auto refusal = [&](const std::string& text) -> std::string {
    try {
      made.encode(text, "a.txt");
    } catch (const InputError& error) {
      return error.what();
    }
    return "no InputError";
  };
  check_tells(refusal("ab\xff"), {"a.txt: byte 2: 0xff is not UTF-8"});
  check_tells(refusal("caf\xc3"), {"byte 3: 0xc3"});
  check_tells(refusal("\xed\xa0\x80"), {"byte 0"});  // a surrogate
  check_tells(refusal("\xc0\x80"), {"byte 0"});      // an overlong NUL
}

TEST_CASE("a byte without a token and an id without one are refused") {
  json tokenizer = plain_tokenizer();
  tokenizer["model"]["vocab"].erase("a");
  const Tokenizer made = tokenizer_of(tokenizer);
  CHECK(made.encode("b", "a.txt") == Ids{'b'});
  CHECK_THROWS_WITH_AS(made.encode("ba", "a.txt"),
                       "a.txt: the tokenizer has no token for the byte 0x61 (\"a\" in its "
                       "vocabulary)",
                       InputError);
  CHECK_THROWS_WITH_AS(made.decode(Ids{98, 700}),
                       "tokenizer.json: no token has the id 700; ids end at 255", InputError);
  CHECK_THROWS_AS(made.decode(Ids{-1}), InputError);
}

TEST_CASE("a file is read as its text is, and its name stands in messages") {
  const test::TemporaryFolder folder;
  write_file(folder / "tokenizer.json", plain_tokenizer().dump());
  CHECK(read_tokenizer_file(folder / "tokenizer.json").encode("a", "text") == Ids{'a'});
  write_file(folder / "wrong.json", "{\"model\": 1}");
  try {
    read_tokenizer_file(folder / "wrong.json");
    FAIL("not refused");
  } catch (const InputError& error) {
    check_tells(error.what(), {folder / "wrong.json", ":1:"});
  }
  CHECK_THROWS_AS(read_tokenizer_file(folder / "none.json"), InputError);
}

}  // namespace
}  // namespace moesim
