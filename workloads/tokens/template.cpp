// Facts of the format: Hugging Face tokenizers 0.21, processors/template.rs and decoders/.
#include "workloads/tokens/template.h"

#include <limits>

namespace moesim {
namespace {

// The ids that `special_tokens` gives the token named by a piece of the template.
std::vector<std::int32_t> special_ids(const JsonNode& piece, const JsonNode& processor) {
  piece.allow_only({"id", "type_id"});
  const std::string name = piece.at("id").as_string();
  const JsonNode tokens = processor.at("special_tokens");
  if (!tokens.has(name)) piece.at("id").fail("special_tokens does not define \"" + name + "\"");
  const JsonNode token = tokens.at(name);
  token.allow_only({"id", "ids", "tokens"});
  std::vector<std::int32_t> ids;
  for (const JsonNode& id : token.at("ids").items())
    ids.push_back(
        static_cast<std::int32_t>(id.as_int(0, std::numeric_limits<std::int32_t>::max() - 1)));
  return ids;
}

TemplateIds read_single(const JsonNode& processor) {
  processor.allow_only({"type", "single", "pair", "special_tokens"});
  const JsonNode single = processor.at("single");
  TemplateIds ids;
  bool seen = false;
  for (const JsonNode& piece : single.items()) {
    piece.allow_only({"SpecialToken", "Sequence"});
    if (const auto sequence = piece.find("Sequence")) {
      sequence->allow_only({"id", "type_id"});
      if (sequence->at("id").as_string() != "A" || seen)
        sequence->fail("the template of a single text holds the sequence A once");
      seen = true;
      continue;
    }
    std::vector<std::int32_t>& end = seen ? ids.after : ids.before;
    for (const std::int32_t id : special_ids(piece.at("SpecialToken"), processor))
      end.push_back(id);
  }
  if (!seen) single.fail("the template of a single text must hold the sequence A");
  return ids;
}

}  // namespace

TemplateIds read_template(const JsonNode& node) {
  const std::string type =
      node.at("type").as_choice({"ByteLevel", "Sequence", "TemplateProcessing"}, "post-processor");
  if (type == "TemplateProcessing") return read_single(node);
  if (type == "ByteLevel") {
    node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return {};
  }
  node.allow_only({"type", "processors"});
  TemplateIds ids;
  for (const JsonNode& member : node.at("processors").items()) {
    const TemplateIds more = read_template(member);
    if (more.before.empty() && more.after.empty()) continue;
    if (!ids.before.empty() || !ids.after.empty()) member.fail("only one template is supported");
    ids = more;
  }
  return ids;
}

void check_decoder(const JsonNode& node) {
  const std::string type = node.at("type").as_choice({"ByteLevel", "Sequence"}, "decoder");
  if (type == "ByteLevel") {
    node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return;
  }
  node.allow_only({"type", "decoders"});
  const std::vector<JsonNode> members = node.at("decoders").items();
  if (members.size() != 1) node.fail("a Sequence must hold ByteLevel and nothing else");
  check_decoder(members.front());
}

}  // namespace moesim
