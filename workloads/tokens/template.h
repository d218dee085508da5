// The two ends of a tokenizer.json: what is put around the ids (post_processor), and how tokens
// become text again (decoder).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

// The ids put before and after a single text's.
struct TemplateIds {
  std::vector<std::int32_t> before, after;
};

// Reads TemplateProcessing (its `single` template), ByteLevel (which changes offsets only) or a
// Sequence of these. InputError: another type, two templates, a special token that the template
// does not define, a template without exactly one sequence A.
TemplateIds read_template(const JsonNode& node);

// Only ByteLevel, alone or as the one member of a Sequence, turns byte-level tokens into text.
void check_decoder(const JsonNode& node);

}  // namespace moesim
