// moesim calibrate: from logs of DeepEP's benchmarks or nccl-tests to a calibration file.
#include <fmt/format.h>

#include <memory>

#include "analysis/report/text_table.h"
#include "analysis/validation/validation_tables.h"
#include "cli/commands.h"
#include "sim/calibrate/calibration_file.h"
#include "sim/calibrate/measurements.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

struct CalibrateOptions {
  std::vector<std::string> logs;
  std::string records, out = "calibration.json";
  LogConditions given;
  bool json = false;
};

std::string constant_text(const std::string& name, double value) {
  if (name.ends_with("efficiency")) return fmt::format("{:.3f}", value);
  if (name.ends_with("rate")) return fmt::format("{:.1f} GB/s", value / 1e9);
  return fmt::format("{:.4g} us", value * 1e6);
}

void print_fit(const Fit& fit) {
  fmt::print("{} {}, {}, {}\n", fit.query.algorithm, fit.query.direction,
             fit.query.within_node ? "within a node" : "across nodes", fit.query.accelerator);
  std::vector<std::vector<std::string>> rows;
  for (const FittedConstant& one : fit.constants)
    rows.push_back(
        {one.name, constant_text(one.name, one.before), constant_text(one.name, one.after)});
  fmt::print("{}\n", text_table({{"constant", 24, false}, {"before"}, {"fitted"}}, rows));
  rows.clear();
  for (const Residual& one : fit.residuals)
    rows.push_back({one.name, signed_percent(one.before), signed_percent(one.after)});
  fmt::print("{}\n", text_table({{"model - measured", 60, false}, {"before"}, {"fitted"}}, rows));
}

void add_conditions(CLI::App& command, LogConditions& given) {
  const auto add_count = [&](const char* name, int& value, const char* what) {
    command.add_option(name, value, what)->check(CLI::PositiveNumber);
  };
  command.add_option("--accelerator", given.accelerator,
                     "GPU the logs are of: H100, H800, B200, MI300X, ...");
  add_count("--ranks", given.ranks, "GPUs taking part");
  add_count("--gpus-per-node", given.gpus_per_node, "GPUs of a node (8)");
  command.add_option("--scale-out", given.scale_out, "between nodes: ib, efa, roce or none")
      ->check(CLI::IsMember({"ib", "efa", "roce", "none"}));
  command
      .add_option("--nic", given.scale_out_bandwidth_gbs,
                  "GB/s of one GPU's NICs, one direction (400 Gb/s = 50)")
      ->check(CLI::PositiveNumber);
  command.add_option("--transport", given.transport, "ibgda: DeepEP without NVLink inside a node")
      ->check(CLI::IsMember({"nvlink", "ibgda", "nvlink+ibgda", "cpu_proxy", "nic"}));
  add_count("--tokens-per-rank", given.tokens_per_rank,
            "tokens a rank, where the log does not say");
  add_count("--hidden", given.hidden, "row width");
  add_count("--top-k", given.top_k, "experts a token");
  add_count("--experts", given.experts, "experts in all");
  add_count("--groups-limit", given.groups_limit, "nodes a token reaches at most");
  add_count("--sms", given.sms, "SMs the exchange holds");
}

void calibrate(const CalibrateOptions& options) {
  if (options.logs.empty() && options.records.empty())
    throw InputError("nothing to calibrate on: give logs, or --records FILE");
  if (!options.logs.empty() && !options.records.empty())
    throw InputError("give logs or --records, not both");
  std::vector<std::string> inputs = options.logs;
  if (!options.records.empty()) inputs.push_back(options.records);
  check_writable(options.out, inputs);
  const MeasurementSet set =
      options.records.empty() ? measurements_of_logs(options.logs, options.given)
                              : measurements_of_records(options.records, options.given.accelerator);
  const std::vector<Fit> fits = fit_constants(set.measurements);
  const std::string file = calibration_text(fits, set.notes);
  write_file(options.out, file);
  if (options.json) {
    fmt::print("{}", file);  // has the constants, the residuals and the notes in it
    return;
  }
  for (const std::string& note : set.notes) fmt::print("note: {}\n", note);
  if (!set.notes.empty()) fmt::print("\n");
  for (const Fit& fit : fits) print_fit(fit);
  fmt::print(
      "wrote {0}\nA scenario uses it with \"cluster\": {{ ..., \"calibration\": \"{0}\" }}, "
      "moesim validate with --calibration {0}\n",
      options.out);
}

void add_calibrate(CLI::App& command) {
  const auto options = std::make_shared<CalibrateOptions>();
  command.add_option(
      "logs", options->logs,
      "output of DeepEP's tests (low latency, intranode, internode, V2) or nccl-tests");
  command.add_option("--records", options->records,
                     "fit on the \"calibrate\" records of a record file instead");
  command.add_option("-o,--out", options->out, "calibration file to write (calibration.json)");
  add_conditions(command, options->given);
  command.add_flag("--json", options->json, "print the file that is written, residuals and all");
  command.footer("Example: moesim calibrate logs/*.txt --accelerator H800 --out calibration.json");
  command.callback([options] { calibrate(*options); });
}

const Registered<Command> registered{
    "calibrate", "Fit exchange constants to benchmark logs of your cluster", {add_calibrate}};

}  // namespace
}  // namespace moesim
