// The synthesizer: routing traces drawn from a profile of how a model routes. What a profile holds
// was measured on a trace (see synth_fit.h) or published; docs/traces.md, "Synthetic routing",
// gives the generator.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/io/json_reader.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

// What the synthesizer is to reproduce, as LayerTraceStats defines it; 0 = not known. The chances
// of SynthLayer are solved for these (solve_profile).
struct SynthTargets {
  double next_layer = 0, next_token = 0;  // share covered by the top fifth; from this layer on
  double same_first = 0;                  // share of neighbours with the same first expert
  // Max over mean load of each domain, then of all together, prefill and decode alike; may be
  // empty. The seed's orders of experts are drawn again until they come near.
  std::vector<double> max_over_mean;
  // Load over mean of all tokens together, by falling place, one value an expert; may be empty.
  std::vector<double> all_load;
};

// How one depth of a model routes. Shares and chances are in [0, 1].
struct SynthLayer {
  double depth = 0;            // 0 = first MoE layer, 1 = last
  double domain_distance = 0;  // mean total variation between two domains' loads
  // Tokens belong to classes, and each class has its own taste in experts: s.d. of the logarithm of
  // the factor by which a class multiplies an expert's load.
  double class_spread = 0;
  double next_layer_keep = 0;  // chance that a new class is that of the MoE layer before
  double next_token_keep = 0;  // chance that a token's class is that of the token before it
  double repeat_first = 0;     // chance that the first expert is that of the token before
  // By profile domain: load over mean at SynthProfile::places, falling.
  std::vector<std::vector<double>> load;
  SynthTargets targets;
};

struct SynthProfile {
  std::string name;
  // The shape it was measured on; a trace of another shape keeps the curves by relative place.
  int experts = 0, top_k = 0, moe_layers = 1;
  int groups = 1, kept_groups = 1;  // group-limited routing: a token's experts lie in kept_groups
  double group_share = 0;           // share of the variance of popularity that is common to a group
  // The curves are of all tokens together, domains and phases mixed; else of one domain's prefill.
  bool loads_of_mix = false;
  double phase_shift = 0;  // s.d., in places by load, between an expert's prefill and decode place
  int token_classes = 16;  // 1 to 64
  std::array<double, 3> phase_overlap{};  // target: PhaseOverlap::share, mean over layers; 0 = none
  std::vector<int> places;  // places by falling load that the curves give: 0 ... experts - 1
  std::vector<std::string> domains;
  std::vector<SynthLayer> layers;  // by ascending depth
};

// Mean load of an expert by place: the curve of `domain` (an index into profile.domains) at
// `depth`, stretched to `experts`; mean 1.
std::vector<double> load_curve(const SynthProfile& profile,
                               std::size_t domain,
                               double depth,
                               int experts);
// The other values at a depth, interpolated; `load` is left empty, `targets` are
// those of the layer at that very depth, else empty.
SynthLayer layer_at(const SynthProfile& profile, double depth);

// A shipped profile ("deepseek-v3"; a name that goes on, like "olmoe-1b-7b", means "olmoe") or a
// path that contains '/' or ends in .json. InputError names file, place, key and value, and the
// nearest profile.
SynthProfile load_profile(const std::string& name_or_path);
SynthProfile read_profile(const JsonNode& root);
std::string profile_json(const SynthProfile& profile);
std::vector<std::string> profile_names();  // shipped ones, sorted

// Tokens by domain from a moment on: between two moments the mix goes over linearly. `at` is the
// share of the trace's tokens that lie before.
struct DomainMix {
  double at = 0;
  std::vector<std::pair<std::string, double>> shares;  // of domains; need not sum to 1
};
// "code=0.5,chat=0.5"; InputError on anything else, on shares below 0 and on none above 0.
DomainMix parse_domain_mix(const std::string& text);

struct SynthRequest {
  std::int64_t tokens = 0;
  std::vector<DomainMix> mixes;  // by ascending `at`; empty = the profile's domains, evenly
  int prompt_tokens = 256, answer_tokens = 256;  // mean of a request, at least one together
  double length_spread = 0.5;                    // s.d. of the logarithm of both lengths
  int experts = 0, top_k = 0, moe_layers = 0, groups = 0, kept_groups = 0;  // 0 = the profile's
  std::vector<int> layer_ids;  // the transformer layers of the MoE layers; empty = 0, 1, ...
  std::string model;           // stands in the header; empty = the profile's name
  std::uint64_t seed = 1;
  int threads = 2;  // the trace does not depend on it
};

// Draws a trace. A domain that the profile knows by name has that domain's curve; the others take
// the profile's curves in turn. Which experts are popular is drawn from the seed, layer by layer
// (in group-limited routing: which groups, then which of their experts), so ids tell nothing.
// InputError on a shape or mix that is out of range: experts 1 to 512, MoE layers 1 to 96, top_k
// that fits into the kept groups, at most 64 groups that divide the experts.
RoutingTrace synthesize(const SynthProfile& profile, const SynthRequest& request);

}  // namespace moesim
