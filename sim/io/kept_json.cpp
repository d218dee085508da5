#include "sim/io/kept_json.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>

namespace moesim {
namespace {

namespace fs = std::filesystem;

struct Stamp {
  fs::file_time_type changed;
  std::uintmax_t size = 0;
  bool operator==(const Stamp&) const = default;
};

struct Kept {
  Stamp stamp;
  JsonNode document;
};

// A file that is not there or cannot be looked at has no stamp: reading it says why.
std::optional<Stamp> stamp_of(const std::string& path) {
  std::error_code unknown;
  Stamp stamp{fs::last_write_time(path, unknown)};
  if (unknown) return std::nullopt;
  stamp.size = fs::file_size(path, unknown);
  if (unknown) return std::nullopt;
  return stamp;
}

}  // namespace

JsonNode kept_json_file(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, Kept> kept;
  const auto stamp = stamp_of(path);
  if (!stamp) return read_json_file(path);
  const std::lock_guard lock(mutex);
  const auto found = kept.find(path);
  if (found != kept.end() && found->second.stamp == *stamp) return found->second.document;
  JsonNode document = read_json_file(path);
  kept.insert_or_assign(path, Kept{*stamp, document});
  return document;
}

void keep_json_files(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".json") kept_json_file(entry.path().string());
}

}  // namespace moesim
