// olmoe_mixtral_counts: the counts published with OLMoE (allenai/OLMoE, commit
// 357454f4f647385839c0ff6b99a688dc7cd9c13f, scripts/run_routing_analysis.py and
// scripts/routing_output, Apache-2.0), gathered in one JSON file: models -> name -> domains ->
// topk_counts [layers][experts], with num_experts, top_k and layers (0, 7, 15 of OLMoE). Tokens are
// drawn from topk_counts; top1_counts and cross_rank_paired are not used.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "sim/io/json_reader.h"
#include "workloads/traces/json_counts.h"

namespace moesim {
namespace {

std::string lower(std::string text) {
  for (char& letter : text)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return text;
}

// The model whose published name begins as the wanted one does ("olmoe-1b-7b" of
// "OLMoE-1B-7B-0924"); the only one when none is wanted.
std::string choose_model(const JsonNode& models, const std::string& wanted) {
  const std::vector<std::string> names = models.keys();
  std::vector<std::string> fitting;
  for (const std::string& name : names)
    if (lower(name).starts_with(lower(wanted))) fitting.push_back(name);
  if (fitting.size() == 1) return fitting.front();
  if (wanted.empty())
    models.fail(fmt::format("holds {} models; choose one with --model: {}", names.size(),
                            fmt::join(names, ", ")));
  models.fail(fmt::format("\"{}\" is not the beginning of one of them{}", wanted,
                          name_help(wanted, names)));
}

ImportedTrace read_published(std::span<const ImportFile> files, const ImportOptions& options) {
  if (files.size() > 1) throw InputError(files[1].name + ": one file is imported at a time");
  const ImportFile& file = files.front();
  const JsonNode models = read_json_text(file.text(), file.name).at("models");
  const std::string name = choose_model(models, options.model);
  const JsonNode model = models.at(name);
  CountTable table;
  table.name = file.name;
  table.model = name;
  table.top_k = static_cast<int>(model.at("top_k").as_int(1, kMostCountedExperts));
  for (const JsonNode& id : model.at("layers").items())
    table.layer_ids.push_back(static_cast<int>(id.as_int(0, 1 << 20)));
  const JsonNode domains = model.at("domains");
  for (const std::string& domain : domains.keys()) {
    const JsonNode counts = domains.at(domain).at("topk_counts");
    add_count_rows(table, domain, counts.items(), counts);
  }
  const JsonNode experts = model.at("num_experts");
  if (experts.as_int(1, kMostCountedExperts) != static_cast<std::int64_t>(table.experts))
    experts.fail(fmt::format("is not the {} counts of a row", table.experts));
  return draw_from_counts(table, options);
}

bool probe_published(const ImportFile& file) {
  const std::string_view text = file.text().substr(0, std::size_t{1} << 16U);
  return text.find("\"models\"") != std::string_view::npos &&
         text.find("\"topk_counts\"") != std::string_view::npos;
}

const Registered<TraceImporter> registered{
    "olmoe_mixtral_counts",
    "the published counts of OLMoE and Mixtral by domain; tokens are drawn from them",
    {probe_published, read_published}};

}  // namespace
}  // namespace moesim
