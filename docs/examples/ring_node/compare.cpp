// Runs a scenario with moesim as a library and prints the step time of every point.
#include <moesim.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: compare SCENARIO.json\n"), 2;
  try {
    const moesim::Result result = moesim::run(argv[1]);
    for (const moesim::PointFigures& point : result.points) {
      if (!point.ran) {
        std::printf("%-12s %s\n", point.label.c_str(), point.memory.c_str());
        continue;
      }
      const moesim::Figure& step = point.metrics.at("step_time");
      std::printf("%-12s step %.2f ms [%.2f, %.2f], %s\n", point.label.c_str(), 1e3 * step.value,
                  1e3 * step.low, 1e3 * step.high, step.basis.c_str());
    }
  } catch (const moesim::RunError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code;
  }
}
