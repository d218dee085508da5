// Whatever a tokenizer.json asks for that is not implemented is refused by key and value; nothing
// is ignored.
#include <doctest/doctest.h>

#include <functional>

#include "tests/workloads/tokens/small_tokenizer.h"

namespace moesim {
namespace {

using nlohmann::json;

struct Refusal {
  std::string what;
  std::function<void(json&)> change;
  std::vector<std::string> said;
};

void check_refused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    json tokenizer = test::byte_tokenizer(test::family(test::kQwen));
    test::add_merges(tokenizer, {{"a", "b"}});
    refusal.change(tokenizer);
    const std::string message = test::tokenizer_refusal(tokenizer);
    CAPTURE(refusal.what);
    CAPTURE(message);
    CHECK(message.starts_with("tokenizer.json:1:"));
    for (const std::string& part : refusal.said) {
      CAPTURE(part);
      CHECK(message.find(part) != std::string::npos);
    }
  }
}

json wrong_added(int id, const std::string& content) { return {{"id", id}, {"content", content}}; }

TEST_CASE("models other than byte-level BPE are refused by name") {
  check_refused({
      {"WordPiece",
       [](json& t) { t["model"]["type"] = "WordPiece"; },
       {"model.type", "\"WordPiece\" is not read", "BPE"}},
      {"Unigram", [](json& t) { t["model"]["type"] = "Unigram"; }, {"\"Unigram\" is not read"}},
      {"no type",
       [](json& t) {
         t["model"].erase("type");
         t["model"].erase("merges");
       },
       {"model", "\"type\" is missing"}},
      {"byte_fallback",
       [](json& t) { t["model"]["byte_fallback"] = true; },
       {"model.byte_fallback", "must be false"}},
      {"dropout",
       [](json& t) { t["model"]["dropout"] = 0.1; },
       {"model.dropout", "must be 0 or null"}},
      {"suffix",
       [](json& t) { t["model"]["end_of_word_suffix"] = "</w>"; },
       {"model.end_of_word_suffix", "must be empty"}},
      {"prefix",
       [](json& t) { t["model"]["continuing_subword_prefix"] = "##"; },
       {"model.continuing_subword_prefix", "must be empty"}},
      {"unknown key",
       [](json& t) { t["model"]["ignore_merge"] = true; },
       {"model.ignore_merge", "did you mean \"ignore_merges\""}},
  });
}

TEST_CASE("a model without a type is BPE when it has merges, as older files are") {
  json tokenizer = test::byte_tokenizer(test::family(test::kQwen));
  tokenizer["model"].erase("type");
  CHECK(test::tokenizer_of(tokenizer).encode("a", "text") == std::vector<std::int32_t>{'a'});
}

TEST_CASE("a vocabulary that is not one id a token is refused at the token") {
  check_refused({
      {"list", [](json& t) { t["model"]["vocab"] = json::array(); }, {"model.vocab", "an object"}},
      {"missing", [](json& t) { t["model"].erase("vocab"); }, {"\"vocab\" is missing"}},
      {"twice",
       [](json& t) { t["model"]["vocab"]["zz"] = 97; },
       {"model.vocab.zz", "97 belongs to another token"}},
      {"negative", [](json& t) { t["model"]["vocab"]["zz"] = -1; }, {"model.vocab.zz", "-1"}},
      {"fraction", [](json& t) { t["model"]["vocab"]["zz"] = 1.5; }, {"model.vocab.zz", "1.5"}},
      {"beyond 32 bits",
       [](json& t) { t["model"]["vocab"]["zz"] = 2147483647; },
       {"model.vocab.zz", "2147483647", "0 to 2147483646"}},
  });
}

TEST_CASE("merges that are no pairs of tokens are refused at their place") {
  const auto with = [](const json& merge) {
    return [merge](json& t) { t["model"]["merges"].push_back(merge); };
  };
  check_refused({
      {"one token", with("ab"), {"model.merges.1", "one space between"}},
      {"three tokens", with("a b c"), {"model.merges.1", "one space between"}},
      {"a number", with(7), {"model.merges.1", "must be \"a b\" or"}},
      {"three in a list", with(json{"a", "b", "c"}), {"model.merges.1", "two tokens"}},
      {"a list of numbers", with(json{1, 2}), {"model.merges.1", "two tokens"}},
      {"unknown part", with("a €"), {"model.merges.1", "\"€\" is not in the vocabulary"}},
      {"unknown whole", with("b c"), {"model.merges.1", "\"bc\" is not in the vocabulary"}},
      {"no list", [](json& t) { t["model"]["merges"] = "a b"; }, {"model.merges", "a list"}},
      {"missing", [](json& t) { t["model"].erase("merges"); }, {"\"merges\" is missing"}},
  });
}

TEST_CASE("keys of the outermost level that would change ids are refused") {
  check_refused({
      {"unknown",
       [](json& t) { t["normaliser"] = nullptr; },
       {"normaliser", "did you mean \"normalizer\""}},
      {"version", [](json& t) { t["version"] = "2.0"; }, {"version", "\"2.0\" is not known"}},
      {"truncation",
       [](json& t) {
         t["truncation"] = {{"max_length", 5}};
       },
       {"truncation", "not supported"}},
      {"padding",
       [](json& t) {
         t["padding"] = {{"length", 5}};
       },
       {"padding", "not supported"}},
      {"no model", [](json& t) { t.erase("model"); }, {"\"model\" is missing"}},
      {"no pre-tokenizer",
       [](json& t) { t["pre_tokenizer"] = nullptr; },
       {"\"pre_tokenizer\" is missing"}},
      {"no object", [](json& t) { t = json::array(); }, {"is an object"}},
  });
}

TEST_CASE("normalisers and decoders of other kinds are refused by name") {
  check_refused({
      {"lower case",
       [](json& t) {
         t["normalizer"] = {{"type", "Lowercase"}};
       },
       {"normalizer.type", "unknown normalizer \"Lowercase\"", "NFC"}},
      {"in a sequence",
       [](json& t) {
         t["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "Strip"}}}}};
       },
       {"normalizer.normalizers.0.type", "\"Strip\""}},
      {"key of NFC",
       [](json& t) {
         t["normalizer"] = {{"type", "NFC"}, {"form", 1}};
       },
       {"normalizer.form", "unknown key"}},
      {"decoder",
       [](json& t) {
         t["decoder"] = {{"type", "Metaspace"}};
       },
       {"decoder.type", "unknown decoder \"Metaspace\"", "ByteLevel"}},
      {"decoders",
       [](json& t) {
         t["decoder"] = {{"type", "Sequence"},
                         {"decoders", {{{"type", "ByteLevel"}}, {{"type", "ByteLevel"}}}}};
       },
       {"decoder", "ByteLevel and nothing else"}},
  });
}

TEST_CASE("added tokens that contradict the vocabulary or each other are refused") {
  const auto with = [](const std::vector<json>& tokens) {
    return [tokens](json& t) { t["added_tokens"] = tokens; };
  };
  check_refused({
      {"other id",
       with({wrong_added(300, "a")}),
       {"added_tokens.0.id", "the vocabulary gives a the id 97"}},
      {"id taken", with({wrong_added(97, "<x>")}), {"added_tokens.0.id", "97 belongs to another"}},
      {"id twice",
       with({wrong_added(300, "<x>"), wrong_added(300, "<y>")}),
       {"added_tokens.1.id", "300 belongs to another"}},
      {"content twice",
       with({wrong_added(300, "<x>"), wrong_added(301, "<x>")}),
       {"added_tokens.1.content", "listed twice"}},
      {"empty", with({wrong_added(300, "")}), {"added_tokens.0.content", "not be empty"}},
      {"no id", with({json{{"content", "<x>"}}}), {"\"id\" is missing"}},
      {"unknown key",
       with({json{{"id", 300}, {"content", "<x>"}, {"strip", true}}}),
       {"added_tokens.0.strip", "unknown key"}},
      {"no list", [](json& t) { t["added_tokens"] = 1; }, {"added_tokens", "must be a list"}},
  });
}

TEST_CASE("a tokenizer.json that is no JSON is refused with line and column") {
  const auto refusal = [](const std::string& text) -> std::string {
    try {
      const Tokenizer made(text, "tokenizer.json");
    } catch (const InputError& error) {
      return error.what();
    }
    return "no InputError";
  };
  CHECK(refusal("").starts_with("tokenizer.json:1:1: not valid JSON"));
  CHECK(refusal("{\n \"model\": }").starts_with("tokenizer.json:2:11: not valid JSON"));
  CHECK(refusal("{\"a\": 1, \"a\": 2}").find("duplicate key") != std::string::npos);
}

}  // namespace
}  // namespace moesim
