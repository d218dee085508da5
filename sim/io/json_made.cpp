// Values with the place of another one.
#include "sim/io/json_made.h"

#include "sim/io/json_document.h"

namespace moesim {

JsonNode JsonDocument::made_at(const JsonNode& origin, const nlohmann::json& value) {
  auto document = std::make_shared<JsonDocument>();
  document->root = value;
  document->places[""] = origin.document_->places.at(origin.pointer_);
  const nlohmann::json* root = &document->root;
  return JsonNode(std::move(document), root, "");
}

JsonNode made_at(const JsonNode& origin, const nlohmann::json& value) {
  return JsonDocument::made_at(origin, value);
}

}  // namespace moesim
