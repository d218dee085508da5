// Times and bytes carry their unit as everywhere; what has none is a plain number.
#include "cli/measured_file.h"

#include <algorithm>

#include "sim/core/units.h"
#include "sim/io/csv_reader.h"

namespace moesim {
namespace {

// Those of a result that can be measured on a cluster.
void check_metric(const CsvCell& cell) {
  static const std::vector<std::string> known{
      "step_time",    "compute",         "dispatch",
      "combine",      "exchanges",       "wait",
      "balancedness", "memory_headroom", "tokens_per_second_per_gpu"};
  if (std::find(known.begin(), known.end(), cell.text) == known.end())
    cell.fail("unknown metric \"" + cell.text + "\"" + name_help(cell.text, known));
}

double value_of(const std::string& metric, const CsvCell& cell) {
  const bool plain = metric == "balancedness" || metric == "tokens_per_second_per_gpu";
  if (plain) return cell.as_number();
  try {
    if (metric == "memory_headroom") return parse_bytes(cell.text).value;
    const double seconds = parse_seconds(cell.text).count();
    if (!(seconds > 0)) cell.fail("must be above 0");
    return seconds;
  } catch (const UnitError& error) {
    cell.fail(error.what());
  }
}

}  // namespace

std::vector<MeasuredPoint> read_measured(const std::string& path) {
  CsvTable table;
  read_csv(path, table);
  std::vector<MeasuredPoint> points;
  for (const CsvRow& row : table.rows) {
    const std::string& metric = row.at("metric").text;
    check_metric(row.at("metric"));
    points.push_back({metric, value_of(metric, row.at("value"))});
  }
  if (points.empty()) throw InputError({path, 1, 1, ""}, "holds no measured point");
  return points;
}

}  // namespace moesim
