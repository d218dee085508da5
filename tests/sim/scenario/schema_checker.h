// A checker of JSON Schema (draft-07), for the keywords that moesim's schema has; any other fails.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace moesim::test {

class SchemaChecker {
 public:
  explicit SchemaChecker(nlohmann::json schema) : schema_(std::move(schema)) {}

  // Where and why `value` is refused; empty when it is not.
  std::string refusal(const nlohmann::json& value) const { return refusal(schema_, value, ""); }

 private:
  std::string refusal(const nlohmann::json& schema,
                      const nlohmann::json& value,
                      const std::string& at) const;
  std::string of_object(const nlohmann::json& schema,
                        const nlohmann::json& value,
                        const std::string& at) const;
  std::string of_leaf(const nlohmann::json& schema,
                      const nlohmann::json& value,
                      const std::string& at) const;
  std::string of_parts(const nlohmann::json& schema,
                       const nlohmann::json& value,
                       const std::string& at) const;

  nlohmann::json schema_;
};

}  // namespace moesim::test
