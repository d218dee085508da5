// The loop of generation for one request.
#include "workloads/forward/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "sim/core/error.h"
#include "sim/io/python_json.h"

namespace moesim {

Random sampling_random(const Sampling& sampling, std::int64_t request) {
  return Random::named(sampling.seed, fmt::format("sampling of request {}", request));
}

std::vector<std::int32_t> generate(const ForwardModel& model,
                                   std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options) {
  check_sampling(options.sampling);
  if (prompt.empty()) throw InputError("the prompt holds no tokens");
  if (options.tokens < 1)
    throw InputError(fmt::format("tokens is {}; it must be 1 or more", options.tokens));
  const auto cache = model.new_cache();
  std::int32_t token = 0;
  std::span<const std::int32_t> next = prompt;
  if (model.has_encoder()) {
    const ForwardModel::Request request{prompt, cache.get()};
    model.encode({&request, 1}, {.threads = options.threads});
    token = model.decoder_start();
    next = {&token, 1};
  }
  Random random = sampling_random(options.sampling, 0);
  const ForwardOptions pass{.threads = options.threads, .logits = KeepLogits::last};
  std::vector<std::int32_t> tokens;
  while (static_cast<int>(tokens.size()) < options.tokens) {
    token = choose_token(model.run(next, *cache, pass).logits, options.sampling, random);
    tokens.push_back(token);
    if (options.on_token) options.on_token(token);
    if (std::find(options.stops.begin(), options.stops.end(), token) != options.stops.end()) break;
    next = {&token, 1};
  }
  return tokens;
}

std::vector<std::int32_t> end_tokens(const std::string& model_folder) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::string path = model_folder + "/" + name;
    if (!std::filesystem::is_regular_file(path)) continue;
    const auto ends = read_python_json_file(path).find("eos_token_id");
    if (!ends || ends->is_null()) continue;
    std::vector<std::int32_t> tokens;
    if (!ends->is_array()) return {static_cast<std::int32_t>(ends->as_int(0, kLargest))};
    for (const JsonNode& end : ends->items())
      tokens.push_back(static_cast<std::int32_t>(end.as_int(0, kLargest)));
    return tokens;
  }
  return {};
}

}  // namespace moesim
