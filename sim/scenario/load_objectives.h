// Reads what a user wants of a pool and what it costs.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// "workload.slo": {"time_per_output_token": "50 ms"} in decode, {"time_to_first_token": "2 s"} in
// prefill; InputError for the other phase's.
ServiceLevel read_service_level(const JsonNode& node, Phase phase);

// "cluster.price_per_gpu_hour": "2.50 USD": an amount above 0 and a currency, any word.
Price read_price(const JsonNode& node);

}  // namespace moesim
