// load_model: finds the configuration, reads what all architectures share, hands over to the
// architecture's reader and checks the result.
#include <algorithm>
#include <filesystem>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/model/architectures.h"
#include "sim/model/moe_model.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

struct Place {
  std::string path, name;
};

Place find_config(const std::string& name_or_path) {
  const std::vector<std::string> names = model_names();
  if (std::find(names.begin(), names.end(), name_or_path) != names.end()) {
    return {data_path("workloads/models/" + name_or_path + ".json"), name_or_path};
  }
  const fs::path path = fs::path(name_or_path).lexically_normal();
  if (fs::is_directory(path)) {
    const fs::path folder = path.filename().empty() ? path.parent_path() : path;
    return {(path / "config.json").string(), folder.filename().string()};
  }
  const bool looks_like_path =
      path.extension() == ".json" || name_or_path.find('/') != std::string::npos;
  if (fs::exists(path) || looks_like_path) {
    const bool generic = path.filename() == "config.json";
    return {path.string(), (generic ? path.parent_path().filename() : path.stem()).string()};
  }
  throw InputError("unknown model \"" + name_or_path + "\"" + name_help(name_or_path, names));
}

// transformers v4.57.1 calls the key torch_dtype, later versions dtype.
WeightFormat stored_format(const JsonNode& config) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    const auto found = config.find(key);
    if (!found) continue;
    const std::string type = found->as_choice({"bfloat16", "float16", "float32"}, "weight type");
    return type == "float32" ? WeightFormat::f32 : WeightFormat::bf16;  // float16: also two bytes
  }
  return WeightFormat::bf16;
}

void read_formats(const JsonNode& config, MoeModel& model) {
  model.expert_format = model.dense_format = stored_format(config);
  const auto quantization = config.find("quantization_config");
  if (!quantization) return;
  const std::string method =
      quantization->at("quant_method").as_choice({"fp8", "mxfp4"}, "quantization");
  if (method == "mxfp4") {
    model.expert_format = WeightFormat::mxfp4;
    return;
  }
  const JsonNode block = quantization->at("weight_block_size");
  const auto sides = block.items();
  if (sides.size() != 2 || sides[0].as_int(1, 4096) != 128 || sides[1].as_int(1, 4096) != 128) {
    block.fail("only [128, 128] is implemented");
  }
  model.expert_format = model.dense_format = WeightFormat::fp8;
}

void check(const JsonNode& config, const MoeModel& model) {
  if (model.moe_layers().empty()) {
    config.at("num_hidden_layers").fail("no layer of this configuration has experts");
  }
  if (model.top_k > model.experts) {
    config.at("num_experts_per_tok")
        .fail("must be at most the number of experts, " + std::to_string(model.experts));
  }
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(data_path("workloads/models"))) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

MoeModel load_model(const std::string& name_or_path) {
  const Place place = find_config(name_or_path);
  const JsonNode config = read_json_file(place.path);
  MoeModel model;
  model.name = place.name;
  model.architecture = config.at("model_type").as_string();
  const auto source = config.find("_source");
  model.source = source ? source->as_string() : place.path;

  const auto& readers = architecture_readers();
  const auto reader = readers.find(model.architecture);
  if (reader == readers.end()) {
    std::vector<std::string> valid;
    valid.reserve(readers.size());
    for (const auto& entry : readers) valid.push_back(entry.first);
    config.at("model_type")
        .fail("model type \"" + model.architecture + "\" is not implemented" +
              name_help(model.architecture, valid));
  }
  model.hidden = count_at(config, "hidden_size");
  model.vocabulary = count_at(config, "vocab_size");
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", false);
  read_formats(config, model);
  reader->second(config, model);
  check(config, model);
  return model;
}

}  // namespace moesim
