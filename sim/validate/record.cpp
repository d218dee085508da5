// Record files, checked as far as every kind needs; the rest is the kinds' own.
#include "sim/validate/record.h"

#include <set>

#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

std::string source_text(const JsonNode& record) {
  const JsonNode source = record.at("source");
  if (source.is_string()) return source.as_string();
  std::string text = source.at("title").as_string();
  for (const char* key : {"where", "date"}) {
    const std::string part = text_of(source, key);
    if (!part.empty()) text += ", " + part;
  }
  return text;
}

MeasurementRecord read_record(const JsonNode& node) {
  MeasurementRecord record;
  record.id = node.at("id").as_string();
  record.testbed = node.at("testbed").as_string();
  record.split = text_of(node, "split");
  record.source = source_text(node);
  record.typed = node.find("typed");
  if (!record.typed) {
    record.unmapped_reason = text_of(node, "unmapped_reason");
    if (record.unmapped_reason.empty()) record.unmapped_reason = "has no typed conditions";
    return record;
  }
  for (const char* key : {"kind", "quantity"}) record.typed->at(key).as_string();
  const JsonNode value = record.typed->at("value");
  if (!(value.as_number() > 0)) value.fail("a measured value must be above 0");
  return record;
}

}  // namespace

std::vector<MeasurementRecord> read_records(const std::string& path) {
  std::vector<MeasurementRecord> records;
  std::set<std::string> ids;
  for (const JsonNode& node : read_json_file(path).at("measurements").items()) {
    records.push_back(read_record(node));
    if (!ids.insert(records.back().id).second)
      node.at("id").fail("two records have the id \"" + records.back().id + "\"");
  }
  return records;
}

}  // namespace moesim
