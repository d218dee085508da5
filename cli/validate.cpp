// moesim validate: predicts published measurements and says how far off it is.
#include <fmt/format.h>

#include <memory>

#include "analysis/validation/validation_report.h"
#include "cli/commands.h"
#include "sim/io/files.h"
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

struct ValidateOptions {
  std::string records, calibration, out, split;
  bool each = false, json = false;
};

void write_all(const Validation& validation, const std::string& folder, std::FILE* to) {
  make_folder(folder);
  write_file(folder + "/validation.svg", validation_svg(validation));
  write_file(folder + "/validation.csv", validation_csv(validation));
  write_file(folder + "/validation.md", validation_markdown(validation, "validation.svg"));
  fmt::print(to, "wrote {0}/validation.md, {0}/validation.svg and {0}/validation.csv\n", folder);
}

void keep_split(const std::string& split, Validation& validation) {
  const auto other = [&](const auto& one) { return one.record.split != split; };
  std::erase_if(validation.records, other);
  std::erase_if(validation.unmapped, other);
  if (validation.records.empty())
    throw InputError(validation.records_file + ": no record of split \"" + split +
                     "\" can be simulated");
}

void add_validate(CLI::App& command) {
  const auto options = std::make_shared<ValidateOptions>();
  command.add_option("--records", options->records,
                     "record file (JSON; docs/records.md); default: the published ones");
  command.add_option("--calibration", options->calibration,
                     "constants that come first, a file of moesim calibrate");
  command.add_option(
      "--split", options->split,
      "only records of this split: \"calibrate\" are those constants may be fitted on");
  command.add_option("--out", options->out,
                     "also write validation.md, .svg and .csv to this folder");
  command.add_flag("--each", options->each, "list every record");
  command.add_flag("--json", options->json, "print summaries and every record as JSON");
  command.footer("Example: moesim validate --each");
  command.callback([options] {
    if (!options->calibration.empty()) check_calibration(options->calibration);
    const std::string records = options->records.empty()
                                    ? data_path("topologies/calibration/records/published.json")
                                    : options->records;
    Validation validation = validate_records(records, options->calibration);
    if (!options->split.empty()) keep_split(options->split, validation);
    fmt::print("{}", options->json ? validation_json(validation)
                                   : validation_text(validation, options->each));
    if (!options->out.empty()) write_all(validation, options->out, options->json ? stderr : stdout);
  });
}

const Registered<Command> registered{
    "validate", "Compare predictions with published measurements", {add_validate}};

}  // namespace
}  // namespace moesim
