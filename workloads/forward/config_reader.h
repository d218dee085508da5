// Reads a Hugging Face config.json so that nothing it asks for is passed over in silence: a key
// that no one read and that is not known to be harmless is refused.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>

#include "sim/io/json_reader.h"
#include "workloads/forward/forward.h"

namespace moesim {

// Each call marks its key as read; null counts as absent, as in the hub's own classes.
class ConfigReader {
 public:
  explicit ConfigReader(JsonNode root, LoadOptions options = {})
      : root_(std::move(root)), options_(options) {}

  const LoadOptions& options() const { return options_; }

  std::optional<JsonNode> find(const std::string& key);
  std::int64_t size(const std::string& key);  // required, 1 .. 2^31
  std::int64_t size_or(const std::string& key, std::int64_t absent, std::int64_t low = 1);
  double number_or(const std::string& key, double absent);
  float epsilon_or(const std::string& key, double absent);  // of a norm: 0 to 1
  bool flag_or(const std::string& key, bool absent);
  // Whether the key is there with the value null, where a class takes that for something else than
  // its absence.
  bool is_null(const std::string& key);
  std::string model_type();

  // Refuses any value but this one; absent is fine.
  void only(const std::string& key, const nlohmann::json& implemented);
  // Reads a key that changes nothing here.
  void ignore(const std::string& key) { read_.insert(key); }

  // InputError at the value of `key`, which is present.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;

  // Refuses every key that was not read, is not harmless, is not null and has no leading "_".
  void refuse_unread() const;

 private:
  JsonNode root_;
  LoadOptions options_;
  std::set<std::string> read_;
};

}  // namespace moesim
