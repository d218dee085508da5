// A place for mistakes that are found where nobody knows the file.
#pragma once

#include <string>

#include "sim/io/json_reader.h"

namespace moesim {

// Runs `act`; a mistake it reports without a place gets the place of `node`. One in another file,
// which `node` names, keeps its own as origin().
template <class Act>
auto at_place(const JsonNode& node, Act act) {
  try {
    return act();
  } catch (const InputError& error) {
    const Location where = node.where();
    const std::string said = error.what(), own = where.key + ": ";
    throw InputError(where, said.starts_with(own) ? said.substr(own.size()) : said,
                     error.origin().file.empty() ? where : error.origin());
  }
}

}  // namespace moesim
