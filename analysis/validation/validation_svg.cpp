// Predicted against measured time on log axes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/charts/chart_kit.h"
#include "analysis/report/page.h"
#include "analysis/validation/validation_report.h"

namespace moesim {
namespace {

constexpr double kSide = 460, kLeft = 70, kTop = 20, kWidth = 860, kHeight = 560;

// A square of whole decades that holds every time.
class Axes {
 public:
  explicit Axes(const Validation& validation) {
    double least = 1e300, most = 0;
    for (const ValidatedRecord& one : validation.records) {
      if (!one.prediction.timed) continue;
      const double predicted = one.prediction.predicted.count() * 1e6;
      const double measured = one.prediction.measured.count() * 1e6;
      least = std::min({least, predicted, measured});
      most = std::max({most, predicted, measured});
    }
    low_ = std::floor(std::log10(least));
    high_ = std::max(low_ + 1, std::ceil(std::log10(most)));
  }
  double low() const { return std::pow(10, low_); }
  double high() const { return std::pow(10, high_); }
  double x(double us) const { return kLeft + share(us) * kSide; }
  double y(double us) const { return kTop + (1 - share(us)) * kSide; }
  std::string grid() const {
    std::string text;
    for (int decade = static_cast<int>(low_); decade <= static_cast<int>(high_); ++decade) {
      const double us = std::pow(10, decade);
      text += fmt::format(R"(<path d="M{0:.1f} {1}V{2}M{3} {4:.1f}H{5}" stroke="#ddd"/>)"
                          R"(<text x="{0:.1f}" y="{6}" text-anchor="middle">{7:g}</text>)"
                          R"(<text x="{8}" y="{9:.1f}" text-anchor="end">{7:g}</text>)"
                          "\n",
                          x(us), kTop, kTop + kSide, kLeft, y(us), kLeft + kSide, kTop + kSide + 18,
                          us, kLeft - 8, y(us) + 4);
    }
    return text;
  }
  // Where predicted = factor x measured, cut at the square's sides.
  std::string diagonal(double factor, const char* style) const {
    const double from = std::max(low(), low() / factor), to = std::min(high(), high() / factor);
    return fmt::format(R"(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" {}/>)"
                       "\n",
                       x(from), y(from * factor), x(to), y(to * factor), style);
  }

 private:
  double share(double us) const { return (std::log10(us) - low_) / (high_ - low_); }
  double low_ = 0, high_ = 1;  // decades
};

std::string points(const Validation& validation, const Axes& axes) {
  std::map<std::string, std::size_t> colours;
  for (const ValidatedRecord& one : validation.records)
    if (one.prediction.timed) colours.emplace(one.prediction.what, 0);
  std::size_t next = 0;
  std::string text;
  for (auto& [what, colour] : colours) {
    colour = next++;
    const double y = kTop + 14 + 20.0 * static_cast<double>(colour);
    text += fmt::format(R"(<circle cx="{}" cy="{}" r="5" fill="{}"/><text x="{}" y="{}">{}</text>)"
                        "\n",
                        kLeft + kSide + 24, y - 4, series_colour(colour), kLeft + kSide + 36, y,
                        escape_html(what));
  }
  for (const ValidatedRecord& one : validation.records) {
    const Prediction& prediction = one.prediction;
    if (!prediction.timed) continue;
    const double measured = prediction.measured.count() * 1e6;
    const double predicted = prediction.predicted.count() * 1e6;
    text += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}" fill-opacity="0.7" stroke="#fff" )"
        R"(stroke-width="0.5"><title>{}: predicted {:.1f} us, measured {:.1f} us</title></circle>)"
        "\n",
        axes.x(measured), axes.y(predicted), series_colour(colours.at(prediction.what)),
        escape_html(one.record.id), predicted, measured);
  }
  return text;
}

}  // namespace

std::string validation_svg(const Validation& validation) {
  std::string text = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" )"
      R"(font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>)"
      "\n",
      kWidth, kHeight);
  if (!validation.records.empty()) {
    const Axes axes(validation);
    text += axes.grid();
    text += axes.diagonal(1, R"(stroke="#555")");
    for (const double factor : {0.85, 1.15})
      text += axes.diagonal(factor, R"(stroke="#999" stroke-dasharray="5 4")");
    for (const double factor : {0.5, 2.0})
      text += axes.diagonal(factor, R"(stroke="#ccc" stroke-dasharray="2 4")");
    text += points(validation, axes);
  }
  text += fmt::format(
      R"(<text x="{}" y="{}" text-anchor="middle">measured, us</text>)"
      R"_(<text transform="translate(18 {}) rotate(-90)" text-anchor="middle">predicted, us</text>)_"
      R"(<text x="{}" y="{}" fill="#666">solid: equal; dashed: 15 % off; dotted: half and twice</text>)"
      "\n</svg>\n",
      kLeft + kSide / 2, kTop + kSide + 40, kTop + kSide / 2, kLeft, kTop + kSide + 62);
  return text;
}

}  // namespace moesim
