// Reading the conditions that several record kinds share.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/io/json_reader.h"

namespace moesim {

// null or missing: `otherwise`.
int int_of(const JsonNode& typed, const char* key, int otherwise);
double number_of(const JsonNode& typed, const char* key, double otherwise);
std::string text_of(const JsonNode& typed, const char* key, const std::string& otherwise = "");

// null or missing: "". InputError for a text that is none of `valid`.
std::string choice_of(const JsonNode& typed,
                      const char* key,
                      const std::vector<std::string>& valid);

// The accelerator file that a record means: "H100" is "h100-sxm". InputError with the nearest name.
std::string accelerator_file(const JsonNode& accelerator);

// A cluster of `ranks` GPUs as the record's machine keys say it ("ranks", "scale_up_domain",
// "scale_out", bandwidths): the preset of the same accelerator and scale-out network, where there
// is one, gives what they leave open. nic_only: nothing goes over NVLink, also inside a node.
Cluster cluster_of(const JsonNode& typed, bool nic_only = false);

// "16 H800 in domains of 8 over ib"
std::string machine_text(const JsonNode& typed);

}  // namespace moesim
