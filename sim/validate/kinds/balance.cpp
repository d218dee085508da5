// balance: how unevenly the token copies of a model's routing fall on ranks, slots or experts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.h"
#include "sim/model/moe_model.h"
#include "sim/plan/placement.h"
#include "sim/validate/prediction.h"
#include "sim/validate/typed_reader.h"
#include "workloads/traces/synth_loads.h"

namespace moesim {
namespace {

constexpr int kSeeds = 8;

struct ChosenProfile {
  SynthProfile profile;
  bool own = true;  // else of another model with as many experts and choices a token
};

std::optional<SynthProfile> profile_named(const std::string& name) {
  for (const std::string& known : profile_names())
    if (name == known || name.starts_with(known + "-")) return load_profile(name);
  return std::nullopt;
}

// The model's own for this phase, else its own, else one of the same shape.
std::optional<ChosenProfile> choose_profile(const MoeModel& model, const std::string& phase) {
  const std::string suffix = phase.empty() ? "" : "-" + phase;
  if (auto own = profile_named(model.name + suffix)) return ChosenProfile{std::move(*own), true};
  for (const std::string& name : profile_names()) {
    SynthProfile other = load_profile(name + suffix);
    if (name != "uniform" && other.experts == model.experts && other.top_k == model.top_k)
      return ChosenProfile{std::move(other), false};
  }
  return std::nullopt;
}

struct RecordedBalance {
  MoeModel model;
  ChosenProfile chosen;
  std::string part, balancer;
  int ranks = 1, redundant = 0;
  bool prefill = false;
  double copies = 0;  // of the EP group in one layer; 0 = without end
};

// EPLB in its global form: no record says how ranks fall into nodes.
std::vector<Placement> place(const RecordedBalance& recorded,
                             const std::vector<std::vector<double>>& load) {
  PlacementInput input;
  input.load = load;
  input.slots = static_cast<int>(recorded.model.experts) + recorded.redundant;
  input.ranks = recorded.ranks;
  input.groups = static_cast<int>(recorded.model.groups);
  const std::string strategy = recorded.balancer == "eplb" ? "eplb" : "contiguous";
  return Catalog<PlacementPart>::instance().at(strategy, "placement")(input);
}

// Copies counted in a finite run scatter around their expectation like independent events.
std::vector<double> counted(const std::vector<double>& load, double copies, Random& random) {
  if (copies == 0) return load;
  std::vector<double> counts;
  for (const double one : load) {
    const double expected = one * copies / static_cast<double>(load.size());
    counts.push_back(std::max(0.0, expected + std::sqrt(expected) * random.normal()));
  }
  return counts;
}

std::vector<double> by_part(const RecordedBalance& recorded,
                            const Placement& placement,
                            const std::vector<double>& load) {
  if (recorded.part == "expert") return load;
  if (recorded.part == "rank")
    return rank_load(placement, load, static_cast<std::size_t>(recorded.ranks));
  std::vector<double> replicas(load.size(), 0);
  for (const LogicalExpert expert : placement.replica_of) replicas[index(expert)] += 1;
  std::vector<double> slots;
  for (const LogicalExpert expert : placement.replica_of)
    slots.push_back(load[index(expert)] / replicas[index(expert)]);
  return slots;
}

double spread_of(const std::vector<double>& load, const std::string& quantity) {
  const auto n = static_cast<double>(load.size());
  const double mean = std::accumulate(load.begin(), load.end(), 0.0) / n;
  if (quantity == "load_ratio") return *std::max_element(load.begin(), load.end()) / mean;
  double squares = 0;
  for (const double one : load) squares += (one - mean) * (one - mean);
  return std::sqrt(squares / n) / mean;
}

// Mean over layers and seeds.
double spread_in(const RecordedBalance& recorded,
                 const std::string& domain,
                 const std::string& quantity) {
  double sum = 0;
  int counts = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    LoadRequest request;
    request.moe_layers = static_cast<int>(recorded.model.moe_layers().size());
    request.experts = static_cast<int>(recorded.model.experts);
    request.top_k = static_cast<int>(recorded.model.top_k);
    request.groups = static_cast<int>(recorded.model.groups);
    request.decode = !recorded.prefill;
    request.domain = domain;
    request.seed = seed;
    const auto load = expected_loads(recorded.chosen.profile, request);
    const std::vector<Placement> placement = place(recorded, load);
    Random random = Random::named(seed, "balance");
    for (std::size_t layer = 0; layer < load.size(); ++layer, ++counts)
      sum += spread_of(
          by_part(recorded, placement[layer], counted(load[layer], recorded.copies, random)),
          quantity);
  }
  return sum / counts;
}

std::variant<RecordedBalance, Unmapped> read(const JsonNode& typed) {
  const std::string quantity = typed.at("quantity").as_string();
  if (quantity != "load_ratio" && quantity != "load_cv")
    return Unmapped{"quantity \"" + quantity + "\" is none that a load has"};
  RecordedBalance recorded;
  recorded.part = typed.at("part").as_choice({"rank", "slot", "expert"}, "part");
  recorded.balancer = choice_of(typed, "balancer", {"none", "eplb", "perfect"});
  const std::string phase = choice_of(typed, "phase", {"prefill", "decode"});
  recorded.prefill = phase != "decode";
  recorded.model = load_model(typed.at("model").as_string());
  auto chosen = choose_profile(recorded.model, phase);
  if (!chosen) return Unmapped{"no routing profile of " + recorded.model.name + " or its shape"};
  recorded.chosen = std::move(*chosen);
  recorded.ranks = static_cast<int>(typed.at("ep").as_int(1, 65536));
  if (const auto redundant = typed.find("redundant_experts"))
    recorded.redundant = static_cast<int>(redundant->as_int(0, 65536));
  const auto slots = static_cast<int>(recorded.model.experts) + recorded.redundant;
  if (recorded.part != "expert" && slots % recorded.ranks != 0)
    return Unmapped{fmt::format("{} slots do not divide over {} ranks", slots, recorded.ranks)};
  if (recorded.part == "expert") recorded.ranks = 1;
  recorded.copies = static_cast<double>(int_of(typed, "tokens_per_rank", 0)) *
                    static_cast<double>(typed.at("ep").as_int(1, 65536) * recorded.model.top_k);
  return recorded;
}

// A domain the profile does not know counts as the mean of those it knows.
double predict_spread(const RecordedBalance& recorded, const JsonNode& typed, std::string& note) {
  if (recorded.balancer == "perfect")
    return typed.at("quantity").as_string() == "load_ratio" ? 1 : 0;
  const std::string domain = text_of(typed, "domain"), quantity = typed.at("quantity").as_string();
  const std::vector<std::string>& known = recorded.chosen.profile.domains;
  const bool found = std::find(known.begin(), known.end(), domain) != known.end();
  if (domain.empty() || found || known.size() == 1)
    return spread_in(recorded, found ? domain : "", quantity);
  note += "the mean of the profile's domains stands in for \"" + domain + "\"";
  double sum = 0;
  for (const std::string& one : known) sum += spread_in(recorded, one, quantity);
  return sum / static_cast<double>(known.size());
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record, const std::string&) {
  const JsonNode& typed = *record.typed;
  auto outcome = read(typed);
  if (const auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& recorded = std::get<RecordedBalance>(outcome);
  Prediction prediction;
  prediction.what = fmt::format("balance {} {}", recorded.part,
                                recorded.balancer == "eplb" ? "eplb" : "contiguous");
  prediction.conditions = fmt::format("{} {}, EP {}, {} redundant experts", recorded.model.name,
                                      text_of(typed, "phase", "prefill"),
                                      typed.at("ep").as_int(1, 65536), recorded.redundant);
  prediction.unit = "ratio";
  prediction.timed = false;
  prediction.value = predict_spread(recorded, typed, prediction.note);
  prediction.basis = recorded.balancer == "perfect" ? Basis::exact
                     : recorded.chosen.own          ? Basis::calibrated
                                                    : Basis::transferred;
  if (!recorded.chosen.own && recorded.balancer != "perfect")
    prediction.note += (prediction.note.empty() ? "" : "; ") + recorded.chosen.profile.name +
                       "'s routing stands in for " + recorded.model.name + "'s";
  return prediction;
}

const Registered<RecordKind> registered{
    "balance", "how unevenly copies fall on ranks, slots or experts", {predict, {}}};

}  // namespace
}  // namespace moesim
