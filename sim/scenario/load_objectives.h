// Reads what a user wants of a pool and what it costs.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// "workload.slo": {"time_per_output_token": "50 ms"} in decode, {"time_to_first_token": "2 s"} in
// prefill; InputError for the other phase's.
ServiceLevel read_service_level(const JsonNode& node, Phase phase);

// "price_per_gpu_hour": "2.50 USD" of the key cluster: an amount above 0 and a currency, any word.
// Not known where the key is missing.
Price read_price(const JsonNode& cluster);

}  // namespace moesim
