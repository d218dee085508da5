// Rows of kernel tables: the project's own columns, and aiconfigurator's
// (github.com/ai-dynamo/aiconfigurator, systems/data: gemm_perf, *moe_perf, *mla_perf).
#include <algorithm>
#include <cctype>

#include "sim/cluster/accelerator.h"
#include "sim/core/error.h"
#include "sim/cost/kernel_table.h"
#include "sim/io/csv_reader.h"

namespace moesim {
namespace {

struct Columns {
  std::vector<std::string> kernels, same, at;  // what the kernels are told apart by
};

const std::vector<Columns>& own_columns() {
  static const std::vector<Columns> columns{
      {{"dense_gemm"}, {"inner", "outer"}, {"rows"}},
      {{"grouped_gemm_masked", "grouped_gemm_contiguous", "expert_ffn_masked",
        "expert_ffn_contiguous"},
       {"inner", "outer", "experts"},
       {"rows"}},
      {{"attention_decode_gqa", "attention_decode_mla", "attention_prefill",
        "attention_sparse_decode", "attention_sparse_prefill"},
       {"heads", "head_elements", "cached_bytes"},
       {"requests", "tokens"}},
      {{"attention_layer_decode", "attention_layer_prefill"},
       {"heads", "cached_bytes"},
       {"requests", "tokens"}}};
  return columns;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

TableRow own_row(const CsvRow& row) {
  const CsvCell& kernel = row.at("kernel");
  std::vector<std::string> names;
  const Columns* columns = nullptr;
  for (const Columns& some : own_columns()) {
    names.insert(names.end(), some.kernels.begin(), some.kernels.end());
    if (std::find(some.kernels.begin(), some.kernels.end(), kernel.text) != some.kernels.end())
      columns = &some;
  }
  if (columns == nullptr)
    kernel.fail("unknown kernel \"" + kernel.text + "\"" + name_help(kernel.text, names));
  TableRow read;
  read.kernel = kernel.text;
  if (const CsvCell* accelerator = row.find("accelerator")) {
    const std::vector<std::string> known = accelerator_names();
    if (std::find(known.begin(), known.end(), accelerator->text) == known.end())
      accelerator->fail("unknown accelerator \"" + accelerator->text + "\"" +
                        name_help(accelerator->text, known));
    read.accelerator = accelerator->text;
  }
  read.precision = row.at("precision").text;
  for (std::size_t i = 0; i < columns->same.size(); ++i)
    read.point.same[i] = row.at(columns->same[i]).as_number();
  if (read.kernel == "dense_gemm") read.point.same[2] = 1;
  for (std::size_t i = 0; i < columns->at.size(); ++i)
    read.point.at[i] = row.at(columns->at[i]).as_number();
  read.time = Seconds(row.at("time_us").as_number() * 1e-6);
  return read;
}

// "NVIDIA H100 80GB HBM3" is "h100-sxm"; "" when no accelerator is called so.
std::string accelerator_of(const std::string& device) {
  const std::string name = lower(device.starts_with("NVIDIA ") ? device.substr(7) : device);
  const std::string first = name.substr(0, name.find(' '));
  for (const std::string& known : accelerator_names())
    if (known == first || known.starts_with(first + "-")) return known;
  return "";
}

std::string precision_of(const std::string& dtype) {
  if (dtype == "bfloat16" || dtype == "float16") return "bf16";
  return dtype == "fp8_block" ? "fp8" : dtype;
}

TableRow aic_product(const CsvRow& row) {
  return {"",
          "dense_gemm",
          precision_of(row.at("gemm_dtype").text),
          {{row.at("k").as_number(), row.at("n").as_number(), 1}, {row.at("m").as_number(), 0}},
          {}};
}

// num_tokens counts all ranks. A skewed load is not the mean of anything, so only even ones serve;
// nor do rows that the contiguous kernel was handed unpadded, where it reads too few experts.
std::optional<TableRow> aic_experts(const CsvRow& row) {
  constexpr double kWholeBlock = 128;
  const std::string load = row.at("distribution").text;
  if (load != "uniform" && load != "balanced") return std::nullopt;
  const bool masked = row.at("op_name").text == "moe_generation";
  const double experts = row.at("num_experts").as_number(),
               rows = row.at("num_tokens").as_number() * row.at("topk").as_number() / experts;
  if (masked ? rows < 1 : rows < kWholeBlock) return std::nullopt;
  return TableRow{"",
                  masked ? "expert_ffn_masked" : "expert_ffn_contiguous",
                  precision_of(row.at("moe_dtype").text),
                  {{row.at("hidden_size").as_number(),
                    row.at("inter_size").as_number() / row.at("moe_tp_size").as_number(),
                    experts / row.at("moe_ep_size").as_number()},
                   {rows, 0}},
                  {}};
}

TableRow aic_latent(const CsvRow& row) {
  constexpr double kCached = 512 + 64;  // elements of a token in DeepSeek's latent cache
  const bool decode = row.at("op_name").text == "mla_generation";
  const double bytes = kCached * (row.at("kv_cache_dtype").text == "fp8" ? 1 : 2);
  return {"",
          decode ? "attention_layer_decode" : "attention_layer_prefill",
          precision_of(row.at("gemm_type").text),
          {{row.at("num_heads").as_number(), bytes, 0},
           {row.at("batch_size").as_number(), row.at("isl").as_number()}},
          {}};
}

std::optional<TableRow> aic_row(const CsvTable& table, const CsvRow& row) {
  const std::string accelerator = accelerator_of(row.at("device").text);
  if (accelerator.empty()) return std::nullopt;
  std::optional<TableRow> read;
  if (table.has("gemm_dtype") && table.has("m")) {
    read = aic_product(row);
  } else if (table.has("moe_dtype") && table.has("moe_ep_size")) {
    read = aic_experts(row);
  } else if (table.has("mla_dtype") && table.has("isl")) {
    read = aic_latent(row);
  } else {
    throw InputError({table.file, 1, 1},
                     "an aiconfigurator table of no kernel: gemm, moe and mla tables are read");
  }
  if (!read) return std::nullopt;
  read->accelerator = accelerator;
  read->time = Seconds(row.at("latency").as_number() * 1e-3);
  return read;
}

}  // namespace

KernelTable load_kernel_table(const std::string& path) {
  CsvTable table;
  read_csv(path, table);
  const bool aic = table.has("framework") && table.has("device") && table.has("latency");
  if (!aic && !(table.has("kernel") && table.has("time_us")))
    throw InputError({path, 1, 1},
                     "needs the columns \"kernel\", \"precision\" and \"time_us\" or those of an "
                     "aiconfigurator table");
  std::vector<TableRow> rows;
  for (const CsvRow& row : table.rows) {
    const std::optional<TableRow> read = aic ? aic_row(table, row) : std::optional(own_row(row));
    if (read) rows.push_back(*read);
  }
  if (rows.empty())
    throw InputError({path, 2, 1}, "no row that a kernel of this project is timed by");
  return KernelTable(rows);
}

}  // namespace moesim
