// load_model: finds the configuration, reads what all architectures share, hands over to the
// architecture's reader and checks the result.
#include <algorithm>
#include <filesystem>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/io/python_json.h"
#include "sim/model/architectures.h"
#include "sim/model/moe_model.h"
#include "sim/model/quantization.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

struct Place {
  std::string path, name;
};

Place find_config(const std::string& name_or_path) {
  if (name_or_path.find('/') == std::string::npos) {
    const std::string shipped = data_path("workloads/models") + "/" + name_or_path + ".json";
    if (fs::exists(shipped)) return {shipped, name_or_path};
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
  throw InputError("unknown model \"" + name_or_path + "\"" +
                   name_help(name_or_path, model_names()));
}

void check(const JsonNode& config, const MoeModel& model) {
  refuse_if(config, config.find("num_layers") ? "num_layers" : "num_hidden_layers",
            model.moe_layers().empty(), "no layer of this configuration has experts");
  refuse_if(config, config.find("moe_topk") ? "moe_topk" : "num_experts_per_tok",
            model.top_k > model.experts + model.zero_experts,
            "must be at most the number of experts, " +
                std::to_string(model.experts + model.zero_experts));
}

// One module of multi-token prediction: the last layer that attends to all its context, with the
// last layer's experts, as DeepSeek-V3 (arXiv 2412.19437, section 2.2), Qwen3.5 and Nemotron 3 have
// it. A feed-forward part that is a layer of its own stays one.
void set_mtp_layers(const JsonNode& config, MoeModel& model) {
  if (count_or(config, "num_nextn_predict_layers", 0) == 0 &&
      count_or(config, "mtp_num_hidden_layers", 0) == 0)
    return;
  const auto attends = [](const LayerShape& layer) {
    return layer.attention.kind != AttentionKind::none && !layer.attention.recurrent();
  };
  const auto last = std::find_if(model.layers.rbegin(), model.layers.rend(), attends);
  if (last == model.layers.rend()) return;
  model.mtp_layers.push_back(*last);
  if (last->ffn == FfnKind::moe) return;
  const std::size_t experts = model.moe_layers().back();
  if (last->ffn == FfnKind::none) {
    model.mtp_layers.push_back(model.layers[experts]);
  } else {
    model.mtp_layers.back().ffn = FfnKind::moe;
    model.mtp_layers.back().dense_width = 0;
  }
}

// The language model of a multimodal one stands under text_config.
JsonNode language_config(const JsonNode& file) {
  const auto text = file.find("text_config");
  return text && !Catalog<ArchitectureReader>::instance().find(file.at("model_type").as_string())
             ? *text
             : file;
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
  const JsonNode file = read_python_json_file(place.path);
  const JsonNode config = language_config(file);
  MoeModel model;
  model.name = place.name;
  model.architecture = config.at("model_type").as_string();
  const auto source = file.find("_source");
  model.source = source ? source->as_string() : place.path;

  const auto& catalog = Catalog<ArchitectureReader>::instance();
  const ArchitectureReader* reader = catalog.find(model.architecture);
  if (reader == nullptr) {
    config.at("model_type")
        .fail("model type \"" + model.architecture + "\" is not implemented" +
              name_help(model.architecture, catalog.names()));
  }
  const bool t5_names = !config.find("hidden_size") && config.find("d_model");
  model.hidden = count_at(config, t5_names ? "d_model" : "hidden_size");
  model.vocabulary = count_at(config, "vocab_size");
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", false);
  const bool quantized_outside =
      !config.find("quantization_config") && file.find("quantization_config");
  read_formats(quantized_outside ? file : config, model);
  reader->read(config, model);
  check(config, model);
  set_mtp_layers(config, model);
  return model;
}

}  // namespace moesim
