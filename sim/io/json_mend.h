// A document with one value taken out or exchanged, all other values where they were: to look for
// the mistakes beyond one.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/io/json_reader.h"

namespace moesim {

// The JSON pointer of the value of `root` that stands at `where`; of a key that is missing, where
// it should be. Empty where no value of this document is meant, or it as a whole. It is not
// where.pointer where an axis of a study has put the value somewhere else.
std::string pointer_at(const JsonNode& root, const Location& where);

// `root` without the value at `pointer`, which there is; the elements after it in a list move up.
JsonNode without(const JsonNode& root, const std::string& pointer);

// `root` with `value` at `pointer`, whose parent there is; its place is that of the value it
// replaces, else its parent's.
JsonNode replaced(const JsonNode& root, const std::string& pointer, const nlohmann::json& value);

// `root` with the key at `pointer` named `key`.
JsonNode renamed(const JsonNode& root, const std::string& pointer, const std::string& key);

}  // namespace moesim
