// The kinds of names that `moesim list` prints, and what there is to say of each name.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace moesim {

struct ListedName {
  std::string name, description = {};     // of a data file: no description
  int sms = 0;                            // all_to_all: that its kernels hold
  std::vector<std::string> options = {};  // topologies: keys of "cluster" of its own
};

struct Listing {
  const char* kind;
  std::function<std::vector<ListedName>()> entries;
};

const std::vector<Listing>& listings();

}  // namespace moesim
