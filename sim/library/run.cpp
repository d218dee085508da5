// The library's entry: a study run in worker processes, its results made plain.
#include <algorithm>
#include <optional>
#include <thread>

#include "sim/core/error.h"
#include "sim/io/plugins.h"
#include "sim/io/scratch_folder.h"
#include "sim/library/moesim.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

PointFigures figures_of(const PointResult& point) {
  PointFigures figures;
  figures.label = point.label;
  figures.varied.insert(point.varied.begin(), point.varied.end());
  figures.ran = point.ran;
  figures.memory = point.memory.verdict;
  figures.notes = point.notes;
  for (const NamedMetric& named : point.metrics) {
    const Metric& metric = named.metric;
    figures.metrics[named.name] = {metric.value, metric.low, metric.high, metric.unit,
                                   to_text(metric.basis)};
  }
  return figures;
}

Result run_scenario(const std::string& scenario_file, const RunSettings& settings) {
  load_plugins();
  std::optional<ScratchFolder> temporary;
  RunOptions options;
  options.out = settings.out.empty() ? temporary.emplace().path() : settings.out;
  options.overrides = settings.overrides;
  options.jobs = settings.jobs > 0
                     ? settings.jobs
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const StudyResult study = run_study(load_study(scenario_file, settings.overrides), options);
  Result result;
  result.name = study.name;
  for (const PointResult& point : study.points) result.points.push_back(figures_of(point));
  return result;
}

}  // namespace

Result run(const std::string& scenario_file, const RunSettings& settings) {
  const auto fails = [](ExitCode code, const std::exception& error) -> RunError {
    return {static_cast<int>(code), error.what()};
  };
  try {
    return run_scenario(scenario_file, settings);
  } catch (const WorkerFailed& error) {
    throw fails(error.exit_code, error);
  } catch (const InputError& error) {
    throw fails(ExitCode::wrong_input, error);
  } catch (const MachineError& error) {
    throw fails(ExitCode::machine_lacks, error);
  } catch (const std::exception& error) {
    throw fails(ExitCode::check_failed, error);
  }
}

}  // namespace moesim
