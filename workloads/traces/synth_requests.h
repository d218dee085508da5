// The requests of a synthetic trace: how long each is and which domain it belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/traces/synth.h"

namespace moesim {

struct PlannedRequest {
  std::size_t domain = 0, first_row = 0;
  std::int32_t prompt = 0, answer = 0;  // tokens of prefill and decode
};

struct RequestPlan {
  std::vector<std::string> domains;
  std::vector<PlannedRequest> requests;  // their rows follow each other without a gap
  bool decode = false;                   // some request answers
};

// Fills request.tokens rows; the last request is cut to what is left. A request's domain is drawn
// from the mix at its first token. InputError on tokens below 1 or beyond 2^31, lengths out of
// range and mixes that do not ascend.
RequestPlan plan_requests(const SynthProfile& profile, const SynthRequest& request);

}  // namespace moesim
