// Maximum a posteriori fit in the logarithms of the constants, by NLopt's subplex search.
#include "sim/calibrate/fit.h"

#include <nlopt.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <tuple>

namespace moesim {
namespace {

constexpr double kNoise = 0.05;  // of a benchmark from run to run, relative
constexpr double kFarthest = 3;  // in ln: a factor of 20 either way

// A constant that may move: how to scale it, and the spread of its prior in ln.
struct Parameter {
  std::string name;
  double before = 0;
  double prior = 0;
  double most = kFarthest;  // ln of the largest factor
  std::function<void(ExchangeTiming&, double factor)> scale;
};

using Protocol = ExchangeTiming::Protocol;

// Both protocols of a timing change alike: what slows one on a cluster slows the other.
std::function<void(ExchangeTiming&, double)> on_protocols(
    const std::function<void(Protocol&, double)>& change) {
  return [change](ExchangeTiming& timing, double factor) {
    change(timing.protocol, factor);
    if (timing.second) change(*timing.second, factor);
  };
}

double room_to_one(const ExchangeTiming& timing, double Protocol::*efficiency) {
  double largest = timing.protocol.*efficiency;
  if (timing.second) largest = std::max(largest, (*timing.second).*efficiency);
  return -std::log(largest);
}

// Priors: launch and synchronisation differ with the host, the driver and the library's version by
// some tens of per cent; the reached share of line rate by 20 %; the rest by about half.
std::vector<Parameter> parameters_of(const ExchangeTiming& timing) {
  std::vector<Parameter> all{
      {"fixed", timing.protocol.fixed.count(), 0.4, kFarthest,
       on_protocols([](Protocol& one, double factor) { one.fixed *= factor; })},
      {"nvlink_efficiency", timing.protocol.nvlink_efficiency, 0.2,
       room_to_one(timing, &Protocol::nvlink_efficiency),
       on_protocols([](Protocol& one, double factor) { one.nvlink_efficiency *= factor; })},
      {"efficiency", timing.protocol.nic_efficiency, 0.2,
       room_to_one(timing, &Protocol::nic_efficiency),
       on_protocols([](Protocol& one, double factor) { one.nic_efficiency *= factor; })},
      {"per_expert", timing.per_expert.count(), 0.5, kFarthest,
       [](ExchangeTiming& one, double factor) { one.per_expert *= factor; }},
      {"per_message", timing.per_message.count(), 0.7, kFarthest,
       [](ExchangeTiming& one, double factor) { one.per_message *= factor; }},
      {"sm_rate", timing.sm_rate.value, 0.4, kFarthest,
       [](ExchangeTiming& one, double factor) { one.sm_rate = one.sm_rate * factor; }},
      {"copy_rate", timing.copy_rate.value, 0.4, kFarthest,
       [](ExchangeTiming& one, double factor) { one.copy_rate = one.copy_rate * factor; }}};
  std::erase_if(all, [](const Parameter& one) { return one.before <= 0; });
  return all;
}

ExchangeTiming moved(const ExchangeTiming& timing,
                     const std::vector<Parameter>& parameters,
                     const double* logs) {
  ExchangeTiming result = timing;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i].scale(result, std::exp(logs[i]));
  for (Protocol* one : {&result.protocol, result.second ? &*result.second : nullptr}) {
    if (!one) continue;
    one->nvlink_efficiency = std::min(one->nvlink_efficiency, 1.0);  // e^0 may round above
    one->nic_efficiency = std::min(one->nic_efficiency, 1.0);
  }
  return result;
}

struct Problem {
  const ExchangeTiming& timing;
  const std::vector<Parameter>& parameters;
  const std::vector<const MeasuredExchange*>& measurements;
};

double misfit(unsigned count, const double* logs, double*, void* data) {
  const Problem& problem = *static_cast<const Problem*>(data);
  const ExchangeTiming timing = moved(problem.timing, problem.parameters, logs);
  double sum = 0;
  for (const MeasuredExchange* one : problem.measurements) {
    const double error = std::log(one->sample.predict(timing) / one->sample.measured);
    sum += std::pow(error / std::max(kNoise, one->spread), 2);
  }
  for (unsigned i = 0; i < count; ++i) sum += std::pow(logs[i] / problem.parameters[i].prior, 2);
  return sum;
}

std::vector<double> best_logs(const Problem& problem) {
  const auto count = static_cast<unsigned>(problem.parameters.size());
  std::vector<double> logs(count, 0), low(count, -kFarthest), high, steps(count, 0.1);
  for (const Parameter& one : problem.parameters) high.push_back(std::max(0.0, one.most));
  for (unsigned i = 0; i < count; ++i)
    if (high[i] < 0.1) steps[i] = -0.1;  // starts at the bound: the first step goes inward
  const std::unique_ptr<nlopt_opt_s, decltype(&nlopt_destroy)> search(
      nlopt_create(NLOPT_LN_SBPLX, count), &nlopt_destroy);
  nlopt_set_min_objective(search.get(), misfit, const_cast<Problem*>(&problem));
  nlopt_set_lower_bounds(search.get(), low.data());
  nlopt_set_upper_bounds(search.get(), high.data());
  nlopt_set_initial_step(search.get(), steps.data());
  nlopt_set_xtol_abs1(search.get(), 1e-4);
  nlopt_set_maxeval(search.get(), 2000);
  double least = 0;
  if (nlopt_optimize(search.get(), logs.data(), &least) < 0)
    throw CheckError("the search for constants failed: " +
                     std::string(nlopt_get_errmsg(search.get()) ? nlopt_get_errmsg(search.get())
                                                                : "no reason given"));
  return logs;
}

Fit fit_one(const std::vector<const MeasuredExchange*>& measurements) {
  Fit fit;
  fit.query = measurements.front()->sample.query;
  const ExchangeTiming& before = measurements.front()->sample.timing;
  const std::vector<Parameter> parameters = parameters_of(before);
  const std::vector<double> logs = best_logs({before, parameters, measurements});
  fit.timing = moved(before, parameters, logs.data());
  for (std::size_t i = 0; i < parameters.size(); ++i)
    fit.constants.push_back(
        {parameters[i].name, parameters[i].before, parameters[i].before * std::exp(logs[i])});
  for (const MeasuredExchange* one : measurements) {
    const auto error = [&](const ExchangeTiming& timing) {
      return one->sample.predict(timing) / one->sample.measured - 1;
    };
    fit.residuals.push_back({one->name, error(before), error(fit.timing)});
  }
  return fit;
}

// One file has one set of constants for an exchange, so its measurements are of one kind of GPU.
void check_alike(const std::vector<const MeasuredExchange*>& measurements) {
  const TimingQuery& first = measurements.front()->sample.query;
  for (const MeasuredExchange* one : measurements) {
    const TimingQuery& query = one->sample.query;
    if (query.accelerator == first.accelerator && query.cpu_proxy == first.cpu_proxy) continue;
    throw InputError(one->name + " is of " + query.accelerator +
                     (query.cpu_proxy ? ", posted by host threads" : "") +
                     ", others of the same exchange are of " + first.accelerator +
                     (first.cpu_proxy ? ", posted by host threads" : "") +
                     ": fit each into a file of its own (--accelerator picks records)");
  }
}

}  // namespace

double Fit::rms() const {
  double sum = 0;
  for (const Residual& one : residuals) sum += one.after * one.after;
  return std::sqrt(sum / static_cast<double>(residuals.size()));
}

double Fit::worst() const {
  double worst = 0;
  for (const Residual& one : residuals)
    if (std::abs(one.after) > std::abs(worst)) worst = one.after;
  return worst;
}

std::vector<Fit> fit_constants(const std::vector<MeasuredExchange>& measurements) {
  std::map<std::tuple<std::string, std::string, bool>, std::vector<const MeasuredExchange*>> groups;
  for (const MeasuredExchange& one : measurements) {
    const TimingQuery& query = one.sample.query;
    groups[{query.algorithm, query.direction, query.within_node}].push_back(&one);
  }
  std::vector<Fit> fits;
  for (const auto& [key, group] : groups) {
    check_alike(group);
    fits.push_back(fit_one(group));
  }
  return fits;
}

}  // namespace moesim
