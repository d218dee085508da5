// Count tables in CSV and JSON, the published ones among them, and the tokens drawn from them.
#include "workloads/traces/expert_counts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "tests/source_dir.h"
#include "tests/workloads/traces/importers/import_files.h"

using namespace moesim;
using namespace moesim::test;  // NOLINT(google-build-using-namespace)

namespace {

using Loads = std::vector<std::int64_t>;
const std::string kOlmoeCounts = test::source_dir() + "/tests/data/olmoe_domain_counts.json";

ImportOptions drawn(int top_k, std::int64_t tokens = 0) {
  ImportOptions options;
  options.top_k = top_k;
  options.tokens = tokens;
  return options;
}

bool distinct_in_rows(const std::vector<std::uint16_t>& rows, std::size_t top_k) {
  for (std::size_t at = 0; at < rows.size(); at += top_k) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(at);
    if (std::set<std::uint16_t>(begin, begin + static_cast<std::ptrdiff_t>(top_k)).size() != top_k)
      return false;
  }
  return true;
}

// The project's cut of the published counts, in the layout of the published file.
std::string published(const std::string& model) {
  const auto ours = nlohmann::json::parse(read_text_file(kOlmoeCounts));
  nlohmann::json domains;
  for (const auto& [domain, counts] : ours.at("counts").items())
    domains[domain] = {{"topk_counts", counts}, {"top1_counts", nullptr}};
  const nlohmann::json entry{{"num_experts", ours.at("experts")},
                             {"top_k", ours.at("top_k")},
                             {"layers", ours.at("layers")},
                             {"domains", domains}};
  return nlohmann::json{{"models", {{model, entry}}}}.dump();
}

}  // namespace

TEST_CASE("Rows have the loads asked for exactly, and no expert twice") {
  const Loads loads{100, 37, 63, 1, 0, 99, 100};  // of 100 rows, top-4: two experts in every row
  const auto rows = draw_rows(loads, 100, 4, Random(7));
  Loads found(loads.size(), 0);
  for (const std::uint16_t expert : rows) ++found[expert];
  CHECK(found == loads);
  CHECK(distinct_in_rows(rows, 4));
  CHECK(rows == draw_rows(loads, 100, 4, Random(7)));
  CHECK(rows != draw_rows(loads, 100, 4, Random(8)));
}

TEST_CASE("Places without load are not routed") {
  const auto rows = draw_rows(Loads{3, 2}, 3, 2, Random(1));
  CHECK(std::count(rows.begin(), rows.end(), 0) == 3);
  CHECK(std::count(rows.begin(), rows.end(), 1) == 2);
  CHECK(std::count(rows.begin(), rows.end(), kNotRouted) == 1);
}

TEST_CASE("Any part of the drawn rows is a fair sample, and pairs of experts meet by chance") {
  constexpr std::size_t kTokens = 20000;
  constexpr std::size_t kTopK = 2;
  const Loads loads(10, kTokens * kTopK / 10);
  const auto rows = draw_rows(loads, kTokens, kTopK, Random(3));
  // Of the first n rows an expert's count is hypergeometric: mean n p, variance at most n p (1-p).
  constexpr double kRows = 2000;
  constexpr double kShare = 0.2;
  const auto first = std::count(rows.begin(), rows.begin() + kRows * kTopK, 4);
  const double deviation = std::sqrt(kRows * kShare * (1 - kShare));
  CHECK(std::abs(static_cast<double>(first) - kRows * kShare) < 5 * deviation);
  // 45 pairs, alike by symmetry: each meets in 1 of 45 rows.
  std::int64_t together = 0;
  for (std::size_t row = 0; row < kTokens; ++row) {
    const auto pair = std::minmax(rows[2 * row], rows[2 * row + 1]);
    if (pair.first == 2 && pair.second == 7) ++together;
  }
  // Blocks of 16 rows share an order of experts: about 16 times the variance of lone rows.
  const double mean = kTokens / 45.0;
  CHECK(std::abs(static_cast<double>(together) - mean) < 5 * std::sqrt(16 * mean));
}

TEST_CASE("Shares are apportioned by largest remainders, within the most allowed") {
  CHECK(apportion(Loads{1, 1, 2}, 8, 100) == Loads{2, 2, 4});
  CHECK(apportion(Loads{5, 3, 2}, 4, 100) == Loads{2, 1, 1});  // 2, 1.2, 0.8
  CHECK(apportion(Loads{9, 1, 0}, 10, 6) == Loads{6, 4, 0});
  CHECK(apportion(Loads{0, 0}, 5, 5) == Loads{0, 0});
  const std::int64_t most = std::int64_t{1} << 42U;
  CHECK(apportion(Loads{most, most}, std::int64_t{1} << 32U, most) ==
        Loads{std::int64_t{1} << 31U, std::int64_t{1} << 31U});
}

TEST_CASE("A CSV of layer, expert, count gives its loads, by domain") {
  const std::string text =
      "# made by hand\n"
      "domain,layer,expert,count\r\n"
      "code,3,0,4\ncode,3,1,2\ncode,3,2,2\n"
      "code,7,0,1\ncode,7,1,3\ncode,7,2,4\n"
      "\n"
      "chat,3,0,2\nchat,3,2,2\nchat,7,1,2\nchat,7,2,2\n";
  const RoutingTrace trace = import_text("", text, drawn(2));
  CHECK(trace.header.domains == std::vector<std::string>{"code", "chat"});
  CHECK(trace.header.layer_ids == std::vector<int>{3, 7});
  REQUIRE(trace.tokens() == 4 + 2);
  CHECK(ints(trace.domain) == std::vector<int>{0, 0, 0, 0, 1, 1});
  CHECK(loads_of(trace, 0, 0, 4) == Loads{4, 2, 2});
  CHECK(loads_of(trace, 1, 0, 4) == Loads{1, 3, 4});
  CHECK(loads_of(trace, 0, 4, 6) == Loads{2, 0, 2});
  CHECK(loads_of(trace, 1, 4, 6) == Loads{0, 2, 2});
}

TEST_CASE("A wide CSV is the same table") {
  const RoutingTrace tall = import_text("", "layer,expert,count\n1,0,3\n1,1,2\n1,2,1\n", drawn(2));
  const RoutingTrace wide = import_text("", "layer,e0,expert_1,2\n1,3,2,1\n", drawn(2));
  CHECK(tall.header.data_sha256 == wide.header.data_sha256);
}

TEST_CASE("A malformed CSV is refused by its line") {
  const auto refusal = [](const std::string& text) {
    return import_refusal("expert_counts_csv", text, drawn(1));
  };
  CHECK(says(refusal(""), "no header"));
  CHECK(says(refusal("layer,expert,count\n"), "no counts"));
  CHECK(says(refusal("layer,expert,count\n0,0,1\n0,1\n"), "a file:3: 2 fields, the header has 3"));
  CHECK(says(refusal("layer,expert,count\n0,0,-1\n"), "a file:2:5: count is \"-1\""));
  CHECK(says(refusal("layer,expert,count\n0,0,1.5\n"), "a file:2:5: count is \"1.5\""));
  CHECK(says(refusal("layer,expert,count\n0,65534,1\n"), "expert is \"65534\""));
  CHECK(says(refusal("layer,expert,count\n\n0,0,1\n0,0,2\n"),
             "a file:4: layer 0, expert 0 is "
             "counted twice"));
  CHECK(says(refusal("layer,0,2\n"), "a file:1:9: column \"2\""));
  CHECK(says(refusal("layer,0,count\n"), "the header is neither"));
  CHECK(says(refusal("expert,count,domain\n"), "lacks the column \"layer\""));
  CHECK(says(refusal("layer,layer,count\n"), "two columns \"layer\""));
}

TEST_CASE("JSON counts are read bare, by layer, by domain and with what is known of them") {
  const std::string same[] = {
      R"([[3, 2, 1], [1, 2, 3]])", R"({"0": [3, 2, 1], "1": [1, 2, 3]})",
      R"({"all": [[3, 2, 1], [1, 2, 3]]})", R"({"all": {"1": [1, 2, 3], "0": [3, 2, 1]}})",
      R"({"top_k": 2, "experts": 3, "layers": [0, 1], "counts": [[3, 2, 1], [1, 2, 3]]})"};
  const RoutingTrace first = import_text("", same[0], drawn(2));
  CHECK(loads_of(first, 0, 0, 3) == Loads{3, 2, 1});
  CHECK(loads_of(first, 1, 0, 3) == Loads{1, 2, 3});
  for (const std::string& text : same) {
    CAPTURE(text);
    const RoutingTrace trace = import_text("", text, drawn(2));
    CHECK(trace.header.data_sha256 == first.header.data_sha256);
    CHECK(trace.header.layer_ids == std::vector<int>{0, 1});
  }
}

TEST_CASE("Malformed JSON counts are refused by their place") {
  const auto refusal = [](const std::string& text) {
    return import_refusal("expert_counts_json", text, drawn(1));
  };
  CHECK(says(refusal("[[1, 2], [3]]"), "has 1 counts, expected 2"));
  CHECK(says(refusal("[[1, 2],\n [3, -1]]"), "a file:2:6"));
  CHECK(says(refusal("[[1, 2"), "a file:1:"));
  CHECK(says(refusal("[]"), "holds no layer"));
  CHECK(says(refusal(R"({"one": [1, 2]})"), "expected the number of a layer"));
  CHECK(says(refusal(R"({"a": [[1, 2]], "b": [[1, 2], [3, 4]]})"), "has 2 layers, expected 1"));
  CHECK(says(refusal(R"({"counts": [[1, 2]], "experts": 3})"), "is not the 2 counts of a row"));
  CHECK(says(refusal(R"({"counts": [[1, 2]], "topk": 3})"), "top_k"));
  CHECK(says(refusal("[[0, 0]]"), "no token is routed"));
}

TEST_CASE("Tokens drawn from the published counts have their loads, layer by layer and domain") {
  ImportOptions options;
  options.tokens = 5000;
  const RoutingTrace trace = import_text("", published("OLMoE-1B-7B-0924"), options);
  CHECK(trace.header.model == "OLMoE-1B-7B-0924");
  CHECK(trace.header.layer_ids == std::vector<int>{0, 7, 15});
  const auto counts = nlohmann::json::parse(read_text_file(kOlmoeCounts)).at("counts");
  REQUIRE(trace.header.domains.size() == counts.size());
  std::size_t begin = 0;
  for (std::size_t domain = 0; domain < counts.size(); ++domain) {
    std::size_t end = begin;
    while (end < trace.tokens() && trace.domain[end] == domain) ++end;
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto published_counts = counts.at(trace.header.domains[domain])[layer].get<Loads>();
      const double copies = static_cast<double>(
          std::accumulate(published_counts.begin(), published_counts.end(), std::int64_t{0}));
      const Loads loads = loads_of(trace, layer, begin, end);
      for (std::size_t expert = 0; expert < loads.size(); ++expert) {
        const double exact = static_cast<double>(published_counts[expert]) / copies *
                             static_cast<double>((end - begin) * 8);
        CHECK(std::abs(static_cast<double>(loads[expert]) - exact) <= 1);
      }
    }
    begin = end;
  }
  CHECK(begin == trace.tokens());
}

TEST_CASE("A published file of several models needs one of them named") {
  std::string two = published("OLMoE-1B-7B-0924");
  auto parsed = nlohmann::json::parse(two);
  parsed["models"]["Mixtral-8x7B-v0.1"] = parsed["models"]["OLMoE-1B-7B-0924"];
  two = parsed.dump();
  CHECK(says(import_refusal("", two), "choose one with --model: Mixtral-8x7B-v0.1, OLMoE"));
  ImportOptions options;
  options.model = "olmoe-1b-7b";
  options.tokens = 100;
  CHECK(import_text("", two, options).header.model == "olmoe-1b-7b");
  options.model = "qwen";
  CHECK(says(import_refusal("", two, options), "\"qwen\" is not the beginning"));
}

TEST_CASE("The same seed draws the same tokens, another seed others of the same loads") {
  ImportOptions options = drawn(2, 1000);
  const std::string table = "[[30, 20, 10, 40]]";
  const RoutingTrace one = import_text("", table, options);
  CHECK(one.header.seed == 1);
  CHECK(one.header.data_sha256 == import_text("", table, options).header.data_sha256);
  options.seed = 2;
  const RoutingTrace two = import_text("", table, options);
  CHECK(one.header.data_sha256 != two.header.data_sha256);
  CHECK(loads_of(one, 0, 0, 1000) == Loads{600, 400, 200, 800});
  CHECK(loads_of(two, 0, 0, 1000) == Loads{600, 400, 200, 800});
}
