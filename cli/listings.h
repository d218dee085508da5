// The kinds of names that `moesim list` prints, and the names of each.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace moesim {

struct Listing {
  const char* kind;
  std::function<std::vector<std::string>()> names;
  std::function<void()> print;  // with what there is to say of each
};

const std::vector<Listing>& listings();

}  // namespace moesim
