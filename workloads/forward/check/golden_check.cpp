// Runs the prompts of a folder and collects the largest differences.
#include "workloads/forward/check/golden_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/io/json_reader.h"
#include "sim/io/python_json.h"
#include "sim/io/safetensors.h"
#include "workloads/forward/check/expected_output.h"
#include "workloads/forward/forward.h"
#include "workloads/forward/model_path.h"

namespace moesim {
namespace {

// Larger of the two; a NaN stands as infinity and stays.
void keep_larger(std::optional<double>& largest, double difference) {
  if (std::isnan(difference)) difference = INFINITY;
  largest = std::max(largest.value_or(0), difference);
}

void compare(std::span<const float> ours,
             std::span<const float> theirs,
             const std::string& what,
             std::optional<double>& largest) {
  if (ours.size() != theirs.size())
    throw InputError(
        fmt::format("{}: holds {} values; the model gives {}", what, theirs.size(), ours.size()));
  keep_larger(largest, 0);
  for (std::size_t i = 0; i < ours.size(); ++i)
    keep_larger(largest, std::abs(static_cast<double>(ours[i]) - theirs[i]));
}

// What the model says about all prompts, one after another.
struct Ours {
  std::vector<float> logits;
  std::vector<LayerRouting> routing;
};

void append(ForwardOutput&& output, Ours& ours) {
  const auto add = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  add(ours.logits, output.logits);
  ours.routing.resize(output.routing.size());
  for (std::size_t i = 0; i < output.routing.size(); ++i) {
    ours.routing[i].layer = output.routing[i].layer;
    add(ours.routing[i].router_logits, output.routing[i].router_logits);
    add(ours.routing[i].experts, output.routing[i].experts);
    add(ours.routing[i].weights, output.routing[i].weights);
    add(ours.routing[i].input, output.routing[i].input);
    add(ours.routing[i].output, output.routing[i].output);
  }
}

Ours run_prompts(const ForwardModel& model, const ExpectedOutput& expected) {
  const ForwardOptions options{.logits = KeepLogits::all, .keep_blocks = true};
  Ours ours;
  for (std::size_t i = 0; i < expected.input_ids.size(); ++i) {
    const auto cache = model.new_cache();
    const ForwardModel::Request input{expected.input_ids[i], cache.get()};
    if (!model.has_encoder()) {
      append(model.run({&input, 1}, options), ours);
      continue;
    }
    append(model.encode({&input, 1}, options), ours);
    append(model.run(expected.decoder_input_ids[i], *cache, options), ours);
  }
  return ours;
}

// A wrong index is a near tie when the weight expected there is as good as that of the place next
// to it or of the first expert left out.
bool is_near_tie(std::span<const float> weights, std::size_t place) {
  constexpr double kNoise = 1e-6;
  const auto close = [&](std::size_t other) {
    return std::abs(static_cast<double>(weights[place]) - weights[other]) <=
           kNoise * std::abs(static_cast<double>(weights[place]));
  };
  return (place > 0 && close(place - 1)) || (place + 1 < weights.size() && close(place + 1));
}

void compare_choices(const LayerRouting& ours,
                     const ExpectedLayer& theirs,
                     const std::string& what,
                     FolderCheck& check) {
  if (ours.experts.size() != theirs.experts.size())
    throw InputError(fmt::format("{}: topk_idx holds {} choices; the model makes {}", what,
                                 theirs.experts.size(), ours.experts.size()));
  const std::size_t rows = theirs.rows, top_k = rows == 0 ? 1 : theirs.experts.size() / rows;
  check.indices += theirs.experts.size();
  for (std::size_t i = 0; i < theirs.experts.size(); ++i) {
    if (ours.experts[i] != theirs.experts[i]) {
      ++check.wrong_indices;
      const std::size_t row = i / top_k * top_k;
      if (!theirs.weights.empty() && is_near_tie({theirs.weights.data() + row, top_k}, i - row))
        ++check.near_ties;
      continue;
    }
    if (!theirs.weights.empty() && theirs.experts[i] != kNotRouted)
      keep_larger(check.weights,
                  std::abs(static_cast<double>(ours.weights[i]) - theirs.weights[i]));
  }
}

void compare_layers(const Ours& ours, const ExpectedOutput& expected, FolderCheck& check) {
  if (ours.routing.size() != expected.layers.size())
    throw InputError(fmt::format("{}: layers has {} entries; the model has {} MoE layers",
                                 expected.json_path, expected.layers.size(), ours.routing.size()));
  for (std::size_t i = 0; i < ours.routing.size(); ++i) {
    const ExpectedLayer& theirs = expected.layers[i];
    const std::string what = fmt::format("{}: layers[{}]", expected.json_path, i);
    compare_choices(ours.routing[i], theirs, what, check);
    if (!theirs.router_logits.empty())
      compare(ours.routing[i].router_logits, theirs.router_logits, what + ".router_logits",
              check.router_logits);
    if (!theirs.input.empty())
      compare(ours.routing[i].input, theirs.input, what + " input", check.block_inputs);
    if (!theirs.output.empty())
      compare(ours.routing[i].output, theirs.output, what + " output", check.block_outputs);
  }
}

bool within(const std::optional<double>& difference, double tolerance) {
  return !difference || *difference <= tolerance;
}

std::string shown(const std::optional<double>& difference, double tolerance) {
  if (!difference) return "-";
  return fmt::format("{:.1e}{}", *difference, *difference <= tolerance ? " " : "!");
}

}  // namespace

FolderCheck check_folder(const std::string& folder, const CheckTolerance& tolerance) {
  const ForwardModel model(folder);
  const ExpectedOutput expected = read_expected(folder, model.has_encoder(), model.vocabulary());
  const Ours ours = run_prompts(model, expected);
  FolderCheck check;
  check.folder = folder;
  check.model_type = read_python_json_file(folder + "/config.json").at("model_type").as_string();
  check.prompts = expected.input_ids.size();
  check.moe_layers = ours.routing.size();
  for (const auto& prompt : expected.input_ids) check.tokens += prompt.size();
  for (const auto& prompt : expected.decoder_input_ids) check.tokens += prompt.size();
  compare_layers(ours, expected, check);
  if (!expected.logits.empty())
    compare(ours.logits, expected.logits, folder + "/expected.safetensors: logits", check.logits);
  check.passed = check.wrong_indices == check.near_ties && within(check.logits, tolerance.logits) &&
                 within(check.router_logits, tolerance.router_logits) &&
                 within(check.weights, tolerance.weights) &&
                 within(check.block_inputs, tolerance.blocks) &&
                 within(check.block_outputs, tolerance.blocks);
  return check;
}

std::string check_text(const std::vector<FolderCheck>& checks, const CheckTolerance& tolerance) {
  std::string text = fmt::format("{:<28} {:<20} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}\n",
                                 "folder", "model_type", "tokens", "logits", "router", "weights",
                                 "input", "output", "wrong ids");
  std::size_t passed = 0;
  for (const FolderCheck& check : checks) {
    passed += check.passed ? 1 : 0;
    text += fmt::format(
        "{:<28} {:<20} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}  {}\n", model_label(check.folder),
        check.model_type, check.tokens, shown(check.logits, tolerance.logits),
        shown(check.router_logits, tolerance.router_logits),
        shown(check.weights, tolerance.weights), shown(check.block_inputs, tolerance.blocks),
        shown(check.block_outputs, tolerance.blocks),
        fmt::format("{}/{}{}", check.wrong_indices, check.indices,
                    check.near_ties > 0 ? fmt::format(" ({} ties)", check.near_ties) : ""),
        check.passed ? "pass" : "FAIL");
  }
  text += fmt::format(
      "{} of {} folders passed. Largest absolute differences; allowed: logits {:.0e}, router "
      "logits "
      "{:.0e}, weights {:.0e}, MoE block inputs and outputs {:.0e}; a ! marks what is beyond.\n",
      passed, checks.size(), tolerance.logits, tolerance.router_logits, tolerance.weights,
      tolerance.blocks);
  return text;
}

}  // namespace moesim
