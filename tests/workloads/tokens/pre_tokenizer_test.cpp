// Cutting text into words by the patterns of four model families. Every expected list was worked
// out by hand from the pattern: alternatives in their order, each as long as it can be.
#include "workloads/tokens/pre_tokenizer.h"

#include <doctest/doctest.h>

#include "tests/workloads/tokens/small_tokenizer.h"

namespace moesim {
namespace {

using test::byte_level_step;
using test::deepseek_family;
using test::family;
using test::sequence_of;
using test::split_step;
using test::words_of;
using Words = std::vector<std::string>;

std::string cut_refusal(const nlohmann::json& pre_tokenizer, const std::string& text = "a") {
  try {
    words_of(pre_tokenizer, text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

void check_says(const std::string& message, const Words& parts) {
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

TEST_CASE("Qwen: contractions apart, a space or sign with the word after it, digits singly") {
  const nlohmann::json qwen = family(test::kQwen);
  CHECK(words_of(qwen, "I've 123 cats.") == Words{"I", "'ve", " ", "1", "2", "3", " cats", "."});
  CHECK(words_of(qwen, "THEY'LL don't") == Words{"THEY", "'LL", " don", "'t"});  // (?i:
  CHECK(words_of(qwen, "(a) \"b\"") == Words{"(a", ")", " \"", "b", "\""});
  CHECK(words_of(qwen, "a  b") == Words{"a", " ", " b"});  // \s+(?!\S) leaves one for the word
  CHECK(words_of(qwen, "a   ") == Words{"a", "   "});      // trailing spaces stay together
  CHECK(words_of(qwen, "a \n\n b\n") == Words{"a", " \n\n", " b", "\n"});
  CHECK(words_of(qwen, "x...\n\ny") == Words{"x", "...\n\n", "y"});
  CHECK(words_of(qwen, "汉字 かな") == Words{"汉字", " かな"});
  CHECK(words_of(qwen, "ok 😀!") == Words{"ok", " 😀!"});
  // e + U+0301: the mark is neither letter, number nor space, so it stands alone.
  CHECK(words_of(qwen, "e\u0301a") == Words{"e", "\u0301a"});
}

TEST_CASE("Llama 3: as Qwen, but digits in threes from the left") {
  const nlohmann::json llama = family(test::kLlama3);
  CHECK(words_of(llama, "1234567") == Words{"123", "456", "7"});
  CHECK(words_of(llama, "x 2024's") == Words{"x", " ", "202", "4", "'s"});
  CHECK(words_of(llama, "\u0663\u00bd") == Words{"\u0663\u00bd"});  // Arabic 3 and 1/2 are \p{N}
  CHECK(words_of(llama, "\r\n\r\n  def f():\r\n") ==
        Words{"\r\n\r\n", " ", " def", " f", "():\r\n"});
}

TEST_CASE("gpt-oss: words end where a capital follows, contractions stay, slashes end signs") {
  const nlohmann::json oss = family(test::kGptOss);
  CHECK(words_of(oss, "HelloWorld don't") == Words{"Hello", "World", " don't"});
  CHECK(words_of(oss, "HTTPServer") == Words{"HTTPServer"});  // capitals, then small letters
  CHECK(words_of(oss, "iPhone ABC") == Words{"i", "Phone", " ABC"});
  CHECK(words_of(oss, "WE'LL") == Words{"WE'LL"});
  CHECK(words_of(oss, "12345") == Words{"123", "45"});
  CHECK(words_of(oss, "http://a/b") == Words{"http", "://", "a", "/b"});
  CHECK(words_of(oss, "汉字ab") == Words{"汉字ab"});              // \p{Lo} is on both sides
  CHECK(words_of(oss, "e\u0301a 😀") == Words{"e\u0301a", " 😀"});  // so are marks
  CHECK(words_of(oss, "a\n\n  ") == Words{"a", "\n\n", "  "});
}

TEST_CASE("DeepSeek-V3: digits in threes, then Han and kana, then the rest") {
  const nlohmann::json deepseek = deepseek_family();
  CHECK(words_of(deepseek, "Add 12345") == Words{"Add", " ", "123", "45"});
  CHECK(words_of(deepseek, "汉字かなカナabc") == Words{"汉字かなカナ", "abc"});
  CHECK(words_of(deepseek, "한국 语") == Words{"한국", " ", "语"});  // Hangul is in no Han range
  // No contractions: a sign joins the Latin letters after it, unless it goes with a space.
  CHECK(words_of(deepseek, "I've x.net .net") == Words{"I", "'ve", " x", ".net", " .", "net"});
  CHECK(words_of(deepseek, "f(x) = y;\n\n") == Words{"f", "(x", ")", " =", " y", ";\n\n"});
  CHECK(words_of(deepseek, "e\u0301a") == Words{"e\u0301a"});  // [\p{L}\p{M}]+
  CHECK(words_of(deepseek, "a  ") == Words{"a", "  "});
  CHECK(words_of(deepseek, "[]{}\\^|~`") == Words{"[]{}\\^|~`"});
  CHECK(words_of(deepseek, "hi 😀") == Words{"hi", " 😀"});
}

TEST_CASE("ByteLevel cuts by GPT-2's pattern unless told not to") {
  CHECK(words_of(byte_level_step(true), "I've  2 dogs, 10%") ==
        Words{"I", "'ve", " ", " 2", " dogs", ",", " 10", "%"});
  CHECK(words_of(byte_level_step(true), "I'VE") == Words{"I", "'", "VE"});  // small letters only
  CHECK(words_of(byte_level_step(false), "any  text") == Words{"any  text"});
  CHECK(words_of(byte_level_step(false), "").empty());
}

TEST_CASE("add_prefix_space puts a space before every piece that has none, as Hugging Face does") {
  CHECK(words_of(byte_level_step(true, true), "a b") == Words{" a", " b"});
  CHECK(words_of(byte_level_step(true, true), " a b") == Words{" a", " b"});
  CHECK(words_of(byte_level_step(false, true), "a b") == Words{" a b"});
  CHECK(words_of(sequence_of({split_step("-"), byte_level_step(false, true)}), "a-b") ==
        Words{" a", " -", " b"});
}

TEST_CASE("Digits stand singly or together") {
  const auto digits = [](bool individual) {
    return sequence_of(
        {{{"type", "Digits"}, {"individual_digits", individual}}, byte_level_step()});
  };
  CHECK(words_of(digits(true), "a12b\u00bd") == Words{"a", "1", "2", "b", "\u00bd"});
  CHECK(words_of(digits(false), "a12b") == Words{"a", "12", "b"});
}

TEST_CASE("each behaviour does with the matches what Hugging Face documents") {
  // The example of the library's documentation, cut at "-".
  const std::string text = "the-final--countdown";
  const auto cut = [&](const std::string& behaviour, bool invert = false) {
    return words_of(sequence_of({split_step("-", behaviour, invert), byte_level_step()}), text);
  };
  CHECK(cut("Isolated") == Words{"the", "-", "final", "-", "-", "countdown"});
  CHECK(cut("Removed") == Words{"the", "final", "countdown"});
  CHECK(cut("Contiguous") == Words{"the", "-", "final", "--", "countdown"});
  CHECK(cut("MergedWithPrevious") == Words{"the-", "final-", "-", "countdown"});
  CHECK(cut("MergedWithNext") == Words{"the", "-final", "-", "-countdown"});
  CHECK(cut("Removed", true) == Words{"-", "-", "-"});
}

TEST_CASE("a String pattern is taken letter by letter") {
  nlohmann::json step = split_step("");
  step["pattern"] = {{"String", "a.b"}};
  CHECK(words_of(sequence_of({step, byte_level_step()}), "axb a.b") == Words{"axb ", "a.b"});
}

TEST_CASE("^ and $ hold at every line and only \\n ends one, as in Oniguruma") {
  CHECK(words_of(sequence_of({split_step("^."), byte_level_step()}), "ab\ncd\u2028e") ==
        Words{"a", "b\n", "c", "d\u2028e"});
}

TEST_CASE("an empty match cuts without taking anything") {
  CHECK(words_of(sequence_of({split_step("x*"), byte_level_step()}), "axb") ==
        Words{"a", "x", "b"});
}

TEST_CASE("nested sequences are one sequence") {
  CHECK(words_of(sequence_of({sequence_of({split_step("-")}), sequence_of({byte_level_step()})}),
                 "a-b") == Words{"a", "-", "b"});
}

TEST_CASE("pre-tokenizers of other kinds and in other orders are refused by name") {
  check_says(cut_refusal({{"type", "Metaspace"}}),
             {"pre_tokenizer:1:9: type", "unknown pre-tokenizer \"Metaspace\"", "ByteLevel"});
  check_says(cut_refusal(split_step("a")), {"must be ByteLevel"});
  check_says(cut_refusal(sequence_of({byte_level_step(), split_step("a")})),
             {"ByteLevel must be the last"});
  check_says(cut_refusal(sequence_of({byte_level_step(), byte_level_step()})),
             {"ByteLevel must be the last"});
  check_says(cut_refusal(sequence_of({})), {"an empty Sequence"});
  check_says(cut_refusal({{"type", "Sequence"}, {"pretokenizers", 1}}), {"must be a list"});
}

TEST_CASE("steps with unknown keys, behaviours or patterns are refused at their place") {
  const auto refusal = [](const nlohmann::json& step) {
    return cut_refusal(sequence_of({step, byte_level_step()}));
  };
  nlohmann::json step = split_step("a");
  step["behaviour"] = "Isolated";
  check_says(refusal(step), {"pretokenizers.0.behaviour", "did you mean \"behavior\""});
  check_says(refusal(split_step("a", "Kept")), {"unknown behavior \"Kept\"", "Isolated"});
  step = split_step("a");
  step["pattern"]["String"] = "b";
  check_says(refusal(step), {"one of Regex and String"});
  step["pattern"] = nlohmann::json::object();
  check_says(refusal(step), {"one of Regex and String"});
  check_says(refusal(split_step("")), {"the pattern is empty"});
  check_says(refusal(split_step("a)")), {"not a regular expression", "U_REGEX_", "character 2"});
  check_says(refusal(split_step("[a")), {"not a regular expression"});
  check_says(refusal(split_step("\\p{Nonsense}")), {"not a regular expression"});
  check_says(refusal(split_step(std::string(65 * 1024, 'a'))), {"66560 bytes", "65536"});
  check_says(refusal({{"type", "Digits"}, {"individual", true}}), {"unknown key"});
}

TEST_CASE("spellings that mean another thing in ICU are refused") {
  const auto refusal = [](const std::string& pattern) { return cut_refusal(family(pattern)); };
  check_says(refusal("\\h+"), {"\\h is not supported"});
  check_says(refusal("\\p{N}{1,3}+"), {"possessive count"});
  check_says(refusal("(a)\\1"), {"reference back"});
  check_says(refusal("(?<x>a)\\k<x>"), {"reference back"});
  CHECK(words_of(family("\\\\h"), "a\\h") == Words{"a", "\\h"});  // a backslash and an h
  CHECK(words_of(family("\\p{L}++"), "ab") == Words{"ab"});       // possessive in both
}

TEST_CASE("a pattern that would run for ages stops with its place") {
  const std::string text(5000, 'a');
  for (const char* pattern : {"(a+)+b", "(a|aa)+$(?<=b)", "(a*)*b", "a*b"}) {
    CAPTURE(pattern);
    const std::string many = pattern == std::string("a*b") ? std::string(100000, 'a') : text;
    check_says(cut_refusal(family(pattern), many),
               {"pretokenizers.0.pattern.Regex", "too much work", "U_REGEX_STOPPED_BY_CALLER"});
  }
}

TEST_CASE("the families' patterns stay within the limits on long runs of one character") {
  for (const char* unit : {"a", "A", " ", "\n", "1", "汉", "!", "\u0301", " \n"}) {
    CAPTURE(unit);
    std::string text;
    for (int i = 0; i < 50000; ++i) text += unit;
    for (const nlohmann::json& pre_tokenizer :
         {family(test::kQwen), family(test::kLlama3), family(test::kGptOss), deepseek_family()}) {
      std::string joined;
      for (const std::string& word : words_of(pre_tokenizer, text)) joined += word;
      CHECK(joined == text);
    }
  }
}

}  // namespace
}  // namespace moesim
