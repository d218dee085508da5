// A place for mistakes that are found where nobody knows the file.
#pragma once

#include <string>

#include "sim/io/json_reader.h"

namespace moesim {

// Runs `act`; a mistake it reports without a place gets the place of `node`.
template <class Act>
auto at_place(const JsonNode& node, Act act) {
  try {
    return act();
  } catch (const InputError& error) {
    const std::string said = error.what(), own = node.where().key + ": ";
    node.fail(said.starts_with(own) ? said.substr(own.size()) : said);
  }
}

}  // namespace moesim
