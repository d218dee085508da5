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
  std::string records, calibration, out;
  bool each = false;
};

void write_all(const Validation& validation, const std::string& folder) {
  make_folder(folder);
  write_file(folder + "/validation.svg", validation_svg(validation));
  write_file(folder + "/validation.csv", validation_csv(validation));
  write_file(folder + "/validation.md", validation_markdown(validation, "validation.svg"));
  fmt::print("wrote {0}/validation.md, {0}/validation.svg and {0}/validation.csv\n", folder);
}

void add_validate(CLI::App& command) {
  const auto options = std::make_shared<ValidateOptions>();
  command.add_option("--records", options->records,
                     "record file (JSON; docs/records.md); default: the published ones");
  command.add_option("--calibration", options->calibration,
                     "constants that come first, a file of moesim calibrate");
  command.add_option("--out", options->out,
                     "also write validation.md, .svg and .csv to this folder");
  command.add_flag("--each", options->each, "list every record");
  command.callback([options] {
    if (!options->calibration.empty()) check_calibration(options->calibration);
    const std::string records = options->records.empty()
                                    ? data_path("topologies/calibration/records/published.json")
                                    : options->records;
    const Validation validation = validate_records(records, options->calibration);
    fmt::print("{}", validation_text(validation, options->each));
    if (!options->out.empty()) write_all(validation, options->out);
  });
}

const Registered<Command> registered{
    "validate", "Compare predictions with published measurements", {add_validate}};

}  // namespace
}  // namespace moesim
