// Reads what a synthetic trace is to be like.
#include "sim/scenario/load_synthetic.h"

#include <filesystem>

#include "sim/io/json_path.h"

namespace moesim {
namespace {

using Mix = SyntheticSource::Mix;

Mix read_mix(const JsonNode& node) {
  Mix mix;
  double sum = 0;
  for (const std::string& domain : node.keys()) {
    mix.shares.emplace_back(domain, node.at(domain).as_ratio(0, 1e9));
    sum += mix.shares.back().second;
  }
  if (!(sum > 0)) node.fail("names no domain with a share above 0");
  return mix;
}

// {"code": 0.5, "chat": 0.5}, or a list of {"at": 0.5, "mix": {...}} by ascending moment.
std::vector<Mix> read_mixes(const JsonNode& node) {
  if (node.is_object()) return {read_mix(node)};
  std::vector<Mix> mixes;
  for (const JsonNode& item : node.items()) {
    item.allow_only({"at", "mix"});
    Mix mix = read_mix(item.at("mix"));
    mix.at = item.at("at").as_ratio(0, 1);
    if (!mixes.empty() && mix.at <= mixes.back().at)
      item.at("at").fail("must be above the moment before it");
    mixes.push_back(std::move(mix));
  }
  if (mixes.empty()) node.fail("names no domain");
  return mixes;
}

std::string read_profile_name(const JsonNode& node, const std::string& folder) {
  const auto like = node.find("like");
  const auto profile = node.find("profile");
  if (like.has_value() == profile.has_value()) node.fail("needs either \"like\" or \"profile\"");
  if (like) {
    std::string name = like->as_string();
    if (name.empty() || name.find('/') != std::string::npos)
      like->fail("must be a shipped profile's name; write \"profile\" for a path");
    return name;
  }
  std::string found = path_in(*profile, folder);
  if (!std::filesystem::exists(found))
    profile->fail("there is no file " + found + "; a shipped profile is named by \"like\"");
  return found.find('/') == std::string::npos ? "./" + found : found;
}

}  // namespace

SyntheticSource read_synthetic(const JsonNode& node,
                               const MoeModel& model,
                               const std::string& folder) {
  node.allow_only(
      {"like", "profile", "tokens", "domains", "prompt_tokens", "answer_tokens", "seed"});
  SyntheticSource source;
  source.profile = read_profile_name(node, folder);
  if (const auto tokens = node.find("tokens")) source.tokens = tokens->as_int(1, INT32_MAX);
  if (const auto domains = node.find("domains")) source.mixes = read_mixes(*domains);
  if (const auto prompt = node.find("prompt_tokens"))
    source.prompt_tokens = static_cast<int>(prompt->as_int(0, 1 << 24));
  if (const auto answer = node.find("answer_tokens"))
    source.answer_tokens = static_cast<int>(answer->as_int(0, 1 << 24));
  if (source.prompt_tokens + source.answer_tokens < 1)
    node.fail("prompt_tokens and answer_tokens are both 0");
  if (const auto seed = node.find("seed"))
    source.seed = static_cast<std::uint64_t>(seed->as_int(0, INT64_MAX));
  source.model = model.name;
  source.experts = static_cast<int>(model.experts);
  source.top_k = static_cast<int>(model.top_k);
  source.groups = static_cast<int>(model.groups);
  source.kept_groups = static_cast<int>(model.top_groups);
  for (const std::size_t layer : model.moe_layers())
    source.layer_ids.push_back(static_cast<int>(layer));
  return source;
}

}  // namespace moesim
