// Reads the constants of training.
#include "sim/train/training_constants.h"

#include "sim/io/files.h"
#include "sim/io/kept_json.h"

namespace moesim {

TrainingConstants load_training_constants() {
  const JsonNode file = kept_json_file(data_path("topologies/calibration/training.json"));
  TrainingConstants constants{};
  const auto value = [&](const char* key) { return file.at(key).at("value"); };
  constants.sustained_share = value("sustained_share").as_ratio(0.01, 1);
  constants.host_layer = value("host_layer").as_seconds();
  constants.attention_backward = value("attention_backward").as_ratio(1, 10);
  constants.pass_backward = value("pass_backward").as_ratio(0.1, 10);
  constants.basis = parse_basis(file.at("sustained_share").at("basis").as_string());
  return constants;
}

}  // namespace moesim
