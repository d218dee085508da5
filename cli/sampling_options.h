// The options that say how generated tokens are chosen, the same in every command that generates.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "workloads/forward/sampling.h"

namespace moesim {

// Adds --sample, --temperature, --top-p, --top-k and --seed. `sampling` outlives the parsing. A
// value that shapes sampling makes no sense with greedy and is refused there.
inline void add_sampling_options(CLI::App& command, Sampling& sampling) {
  CLI::Option* const sample =
      command
          .add_option_function<std::string>(
              "--sample",
              [&sampling](const std::string& kind) { sampling.greedy = kind == "greedy"; },
              "greedy or temperature (default: greedy)")
          ->check(CLI::IsMember({"greedy", "temperature"}));
  command
      .add_option("--temperature", sampling.temperature, "divides the logits, above 0 (default 1)")
      ->needs(sample);
  command
      .add_option("--top-p", sampling.top_p,
                  "keep the likeliest tokens up to this share (default 1)")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(sample);
  command.add_option("--top-k", sampling.top_k, "keep the k likeliest tokens (default: all)")
      ->check(CLI::Range(1, 1 << 30))
      ->needs(sample);
  command.add_option("--seed", sampling.seed, "of the draws (default 1)")->needs(sample);
}

}  // namespace moesim
