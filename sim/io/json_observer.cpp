// Documents that tell what is read of them.
#include "sim/io/json_observer.h"

#include "sim/io/json_document.h"

namespace moesim {

std::shared_ptr<JsonDocument> JsonDocument::copy_of(const JsonNode& node) {
  return std::make_shared<JsonDocument>(*node.document_);
}

JsonNode JsonDocument::root_of(std::shared_ptr<const JsonDocument> document) {
  const nlohmann::json* root = &document->root;
  return JsonNode(std::move(document), root, "");
}

JsonNode JsonDocument::observed(const JsonNode& root, JsonObserver& observer) {
  const auto document = copy_of(root);
  document->observer = &observer;
  return root_of(document);
}

void JsonDocument::tell(const JsonNode& node, const nlohmann::json& accepted) {
  JsonObserver* const observer = node.document_->observer;
  if (observer != nullptr) observer->accepts(node.pointer_, accepted);
}

JsonNode observed(const JsonNode& root, JsonObserver& observer) {
  return JsonDocument::observed(root, observer);
}

void tell_accepted(const JsonNode& node, const nlohmann::json& schema) {
  JsonDocument::tell(node, schema);
}

}  // namespace moesim
