// A catalog holds the parts of one kind (topologies, placements, ...) by name. Each part is one
// .cpp file whose last line is `const Registered<Kind> registered{...}`; the catalog is read-only
// once main has started.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

template <class Part>
class Catalog {
 public:
  struct Entry {
    std::string description;  // one line, printed by `moesim list`
    Part part;
  };

  static Catalog& instance() {
    static Catalog catalog;
    return catalog;
  }

  // std::logic_error when the name is taken: two files register under it (one was copied?).
  void add(const std::string& name, Entry entry) {
    if (!entries_.emplace(name, std::move(entry)).second)
      throw std::logic_error("two parts are registered as \"" + name + "\"");
  }

  const Part* find(std::string_view name) const {
    const auto found = entries_.find(std::string(name));
    return found == entries_.end() ? nullptr : &found->second.part;
  }

  // The part, or an InputError with the nearest and all valid names. `kind` is the word for the
  // message.
  const Part& at(std::string_view name, std::string_view kind) const {
    if (const Part* part = find(name)) return *part;
    throw InputError("unknown " + std::string(kind) + " \"" + std::string(name) + "\"" +
                     name_help(name, names()));
  }

  std::vector<std::string> names() const {  // sorted
    std::vector<std::string> names;
    for (const auto& entry : entries_) names.push_back(entry.first);
    return names;
  }

  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  std::map<std::string, Entry> entries_;
};

// Registers a part before main starts.
template <class Part>
struct Registered {
  Registered(const char* name, const char* description, Part part) {
    Catalog<Part>::instance().add(name, {description, std::move(part)});
  }
};

}  // namespace moesim
