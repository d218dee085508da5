// The fit on measurements made by constants that are known.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/calibrate/calibration_file.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "tests/temporary_folder.h"

using namespace moesim;

namespace {

// An exchange of `messages` messages and `bytes` over a NIC of 50 GB/s.
FitSample sample_of(double messages, double bytes, const ExchangeTiming& start) {
  FitSample sample;
  sample.query = {"deepep_low_latency", "dispatch", false, "h800-sxm"};
  sample.timing = start;
  sample.predict = [messages, bytes](const ExchangeTiming& timing) {
    return timing.protocol.fixed +
           std::max(timing.per_message * messages,
                    Seconds(bytes / (50e9 * timing.protocol.nic_efficiency)));
  };
  return sample;
}

ExchangeTiming start() {
  ExchangeTiming timing;
  timing.protocol = {Seconds(30e-6), 0.7, 0.8};
  timing.per_message = Seconds(5e-9);
  timing.source = "the start";
  return timing;
}

std::vector<MeasuredExchange> measured_with(const ExchangeTiming& truth,
                                            const std::vector<std::pair<double, double>>& sizes) {
  std::vector<MeasuredExchange> measurements;
  for (const auto& [messages, bytes] : sizes) {
    FitSample sample = sample_of(messages, bytes, start());
    sample.measured = sample.predict(truth);
    measurements.push_back({"one", std::move(sample), 0});
  }
  return measurements;
}

const FittedConstant& constant(const Fit& fit, const std::string& name) {
  for (const FittedConstant& one : fit.constants)
    if (one.name == name) return one;
  FAIL("no constant " << name);
  return fit.constants.front();
}

}  // namespace

TEST_CASE("Many measurements give back the constants they were made with") {
  ExchangeTiming truth = start();
  truth.protocol.fixed = Seconds(45e-6);
  truth.protocol.nic_efficiency = 0.6;
  truth.per_message = Seconds(12e-9);
  std::vector<std::pair<double, double>> sizes;
  for (int i = 0; i < 8; ++i) {
    sizes.emplace_back(10, 1e5 * std::pow(3, i));     // bound by the link
    sizes.emplace_back(1000 * std::pow(3, i), 1000);  // bound by messages
    sizes.emplace_back(1, 1);                         // fixed alone
  }
  const std::vector<Fit> fits = fit_constants(measured_with(truth, sizes));
  REQUIRE(fits.size() == 1);
  CHECK(constant(fits[0], "fixed").after == doctest::Approx(45e-6).epsilon(0.02));
  CHECK(constant(fits[0], "efficiency").after == doctest::Approx(0.6).epsilon(0.02));
  CHECK(constant(fits[0], "per_message").after == doctest::Approx(12e-9).epsilon(0.03));
  CHECK(std::abs(fits[0].worst()) < 0.02);
}

TEST_CASE("One measurement moves what it can tell about and leaves the rest") {
  ExchangeTiming truth = start();
  truth.protocol.nic_efficiency = 0.5;
  const std::vector<Fit> fits = fit_constants(measured_with(truth, {{10, 1e8}}));
  CHECK(constant(fits[0], "efficiency").after < 0.55);
  CHECK(constant(fits[0], "per_message").after == doctest::Approx(5e-9).epsilon(0.001));
  CHECK(std::abs(fits[0].residuals[0].after) < 0.1);
  CHECK(fits[0].residuals[0].before < -0.3);
}

TEST_CASE("No efficiency is fitted above 1") {
  ExchangeTiming truth = start();
  truth.protocol.nic_efficiency = 2;  // a link faster than its rating
  const std::vector<Fit> fits = fit_constants(measured_with(truth, {{10, 1e8}, {10, 3e8}}));
  CHECK(fits[0].timing.protocol.nic_efficiency <= 1);
  CHECK(constant(fits[0], "efficiency").after > 0.9);
}

TEST_CASE("A figure whose ranks disagree counts less") {
  ExchangeTiming slow = start(), fast = start();
  slow.protocol.nic_efficiency = 0.4;
  std::vector<MeasuredExchange> both = measured_with(slow, {{10, 1e8}});
  both[0].spread = 1.5;
  both.push_back(measured_with(fast, {{10, 1e8}}).front());
  const std::vector<Fit> fits = fit_constants(both);
  CHECK(constant(fits[0], "efficiency").after == doctest::Approx(0.8).epsilon(0.03));
}

TEST_CASE("The calibration file says what was fitted and reads back as constants") {
  ExchangeTiming truth = start();
  truth.protocol.fixed = Seconds(60e-6);
  const std::vector<Fit> fits = fit_constants(measured_with(truth, {{1, 1}, {10, 1e7}, {5, 1e3}}));
  const test::TemporaryFolder folder;
  const std::string path = folder / "calibration.json";
  write_file(path, calibration_text(fits, {"a note"}));
  CHECK_NOTHROW(check_calibration(path));
  const ExchangeTiming read =
      exchange_timing({"deepep_low_latency", "dispatch", false, "h800-sxm", false, path});
  CHECK(read.protocol.fixed.count() ==
        doctest::Approx(fits[0].timing.protocol.fixed.count()).epsilon(1e-4));
  CHECK(read.basis == Basis::calibrated);
  CHECK(read.source.find("3 measurements") != std::string::npos);
  // What the file does not have comes from the project's.
  CHECK(exchange_timing({"deepep_low_latency", "combine", false, "h800-sxm", false, path}).source ==
        exchange_timing({"deepep_low_latency", "combine", false, "h800-sxm"}).source);
  write_file(
      path,
      R"({"algorithms": {"deepep_low_latency": {"combine": {"within_node": {"fixed": "5 kg"}}}}})");
  CHECK_THROWS_AS(check_calibration(path), InputError);
  write_file(path, R"({"algorithms": {"deepep_low_latncy": {}}})");
  CHECK_THROWS_AS(check_calibration(path), InputError);
}

TEST_CASE("Measurements of one exchange on two kinds of GPU are refused") {
  std::vector<MeasuredExchange> both = measured_with(start(), {{10, 1e8}, {10, 1e6}});
  both[1].sample.query.accelerator = "b200-sxm";
  CHECK_THROWS_AS(fit_constants(both), InputError);
}
