// Writes a routing trace of a given size with skewed expert load, for the benchmarks: a Zipf law
// over experts, shuffled anew in every layer. It has no locality and no domains, so it is no model
// of real routing.
//   bench_make_trace <file> <tokens> <moe layers> <experts> <top_k> <zipf exponent> <seed>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "sim/trace/routing_trace.h"

namespace {

using moesim::Random;

struct Size {
  std::size_t tokens, layers, experts, top_k;
  double exponent;
};

// Cumulative probability of each expert of one layer.
std::vector<double> popularity(const Size& size, Random& random) {
  std::vector<double> weights(size.experts);
  for (std::size_t rank = 0; rank < size.experts; ++rank)
    weights[rank] = std::pow(static_cast<double>(rank + 1), -size.exponent);
  random.shuffle(std::span(weights));
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  for (double& weight : weights) weight /= weights.back();
  return weights;
}

// Fills one layer of every token: top_k distinct experts, drawn again when drawn twice.
void fill_layer(const Size& size,
                std::size_t layer,
                Random& random,
                std::vector<std::uint16_t>& experts) {
  const std::vector<double> cumulative = popularity(size, random);
  for (std::size_t token = 0; token < size.tokens; ++token) {
    std::uint16_t* choice = &experts[(token * size.layers + layer) * size.top_k];
    for (std::size_t k = 0; k < size.top_k;) {
      const auto found =
          std::upper_bound(cumulative.begin(), cumulative.end() - 1, random.uniform());
      choice[k] = static_cast<std::uint16_t>(found - cumulative.begin());
      if (std::find(choice, choice + k, choice[k]) == choice + k) ++k;
    }
  }
}

void make(const std::string& path, const Size& size, std::uint64_t seed) {
  moesim::TraceColumns columns;
  columns.header.model = "benchmark";
  columns.header.experts = static_cast<int>(size.experts);
  columns.header.top_k = static_cast<int>(size.top_k);
  columns.header.layer_ids.resize(size.layers);
  std::iota(columns.header.layer_ids.begin(), columns.header.layer_ids.end(), 0);
  columns.header.origin = "synthetic";
  columns.header.seed = seed;
  columns.header.domains = {"zipf"};
  columns.experts.resize(size.tokens * size.layers * size.top_k);
  Random random(seed);
  for (std::size_t layer = 0; layer < size.layers; ++layer)
    fill_layer(size, layer, random, columns.experts);
  constexpr std::size_t kRowsOfRequest = 64;
  for (std::size_t token = 0; token < size.tokens; ++token) {
    columns.request.push_back(static_cast<std::int32_t>(token / kRowsOfRequest));
    columns.position.push_back(static_cast<std::int32_t>(token % kRowsOfRequest));
    columns.step.push_back(static_cast<std::int32_t>(token % kRowsOfRequest));
    columns.domain.push_back(0);
    columns.phase.push_back(static_cast<std::uint8_t>(moesim::Phase::decode));
  }
  moesim::write_trace(path, moesim::make_trace(std::move(columns)));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 8) {
    fmt::print(stderr,
               "usage: {} <file> <tokens> <moe layers> <experts> <top_k> <zipf exponent> <seed>\n",
               arguments[0]);
    return 2;
  }
  try {
    const Size size{std::stoul(arguments[2]), std::stoul(arguments[3]), std::stoul(arguments[4]),
                    std::stoul(arguments[5]), std::stod(arguments[6])};
    if (size.top_k > size.experts || size.experts > 65535)
      throw moesim::InputError("top_k <= experts <= 65535 needed");
    make(arguments[1], size, std::stoull(arguments[7]));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
