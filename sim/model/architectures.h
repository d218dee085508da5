// Readers of Hugging Face config.json, one a model_type: each fills the shapes its architecture
// derives from the keys.
#pragma once

#include <map>
#include <string>

#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"

namespace moesim {

using ArchitectureReader = void (*)(const JsonNode& config, MoeModel& model);

// By model_type. A reader finds name, hidden, vocabulary, tied_embeddings and the formats already
// set, and fills layers, experts and router. Defaults of missing keys are those of transformers
// v4.57.1's configuration classes.
const std::map<std::string, ArchitectureReader>& architecture_readers();

// A whole number in 1 .. 2^40; `fallback` for a missing key where one is given.
std::int64_t count_at(const JsonNode& config, const std::string& key);
std::int64_t count_or(const JsonNode& config, const std::string& key, std::int64_t fallback);
bool flag_or(const JsonNode& config, const std::string& key, bool fallback);

}  // namespace moesim
