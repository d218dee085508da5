// Parsing and printing of physical quantities: one table of unit spellings per kind.
#include "sim/core/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>

#include "sim/core/error.h"

namespace moesim {
namespace {

struct UnitName {
  std::string_view name;
  double scale;
};

constexpr std::array kByteUnits{
    UnitName{"B", 1},         UnitName{"kB", 1e3},         UnitName{"MB", 1e6},
    UnitName{"GB", 1e9},      UnitName{"TB", 1e12},        UnitName{"KiB", 1024},
    UnitName{"MiB", 1048576}, UnitName{"GiB", 1073741824}, UnitName{"TiB", 1099511627776}};
constexpr std::array kSecondUnits{UnitName{"ns", 1e-9}, UnitName{"us", 1e-6}, UnitName{"ms", 1e-3},
                                  UnitName{"s", 1},     UnitName{"min", 60},  UnitName{"h", 3600}};
constexpr std::array kRateUnits{
    UnitName{"B/s", 1},       UnitName{"kB/s", 1e3},    UnitName{"MB/s", 1e6},
    UnitName{"GB/s", 1e9},    UnitName{"TB/s", 1e12},   UnitName{"GiB/s", 1073741824},
    UnitName{"b/s", 0.125},   UnitName{"kb/s", 125},    UnitName{"Mb/s", 1.25e5},
    UnitName{"Gb/s", 1.25e8}, UnitName{"Tb/s", 1.25e11}};
constexpr std::array kFlopUnits{UnitName{"FLOP/s", 1}, UnitName{"GFLOP/s", 1e9},
                                UnitName{"TFLOP/s", 1e12}, UnitName{"PFLOP/s", 1e15}};

std::string names_of(std::span<const UnitName> units) {
  std::string names;
  for (const UnitName& unit : units) names += (names.empty() ? "" : ", ") + std::string(unit.name);
  return names;
}

double parse(std::string_view text, std::span<const UnitName> units, std::string_view example) {
  const auto wrong = [&](const std::string& what) {
    return UnitError("\"" + std::string(text) + "\" " + what +
                     "; write a number and a unit, as in \"" + std::string(example) +
                     "\" (units: " + names_of(units) + ")");
  };
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || !std::isfinite(number)) throw wrong("does not start with a number");
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) throw wrong("has no unit");
  for (const UnitName& known : units) {
    if (known.name == unit) return number * known.scale;
  }
  throw wrong("has the unknown unit \"" + std::string(unit) + "\"");
}

// What std::from_chars reads as a number, any blanks, and a unit.
std::string pattern_of(std::span<const UnitName> units) {
  std::string names;
  for (const UnitName& unit : units) names += (names.empty() ? "" : "|") + std::string(unit.name);
  return R"(^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *()" + names + ")$";
}

std::string three_digits(double value, std::span<const UnitName> units) {
  const UnitName* best = &units.front();
  for (const UnitName& unit : units) {
    // 999.5 us would print as "1000 us": from there on it is 1.00 ms.
    if (std::abs(value) >= 0.9995 * unit.scale) best = &unit;
  }
  const double scaled = value / best->scale;
  const double magnitude = std::abs(scaled);
  const int decimals = magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f ", decimals, scaled);
  return text.data() + std::string(best->name);
}

}  // namespace

Bytes parse_bytes(std::string_view text) { return Bytes(parse(text, kByteUnits, "80 GiB")); }
Seconds parse_seconds(std::string_view text) { return Seconds(parse(text, kSecondUnits, "2 us")); }
BytesPerSecond parse_bytes_per_second(std::string_view text) {
  return BytesPerSecond(parse(text, kRateUnits, "400 Gb/s"));
}
FlopsPerSecond parse_flops_per_second(std::string_view text) {
  return FlopsPerSecond(parse(text, kFlopUnits, "989 TFLOP/s"));
}

template <>
std::string quantity_pattern<Bytes>() {
  return pattern_of(kByteUnits);
}
template <>
std::string quantity_pattern<Seconds>() {
  return pattern_of(kSecondUnits);
}
template <>
std::string quantity_pattern<BytesPerSecond>() {
  return pattern_of(kRateUnits);
}
template <>
std::string quantity_pattern<FlopsPerSecond>() {
  return pattern_of(kFlopUnits);
}

std::string to_text(Bytes bytes) {
  constexpr std::array units{UnitName{"B", 1}, UnitName{"KiB", 1024}, UnitName{"MiB", 1048576},
                             UnitName{"GiB", 1073741824}, UnitName{"TiB", 1099511627776}};
  return three_digits(bytes.value, units);
}
std::string to_text(Seconds seconds) {
  constexpr std::array units{UnitName{"ns", 1e-9}, UnitName{"us", 1e-6}, UnitName{"ms", 1e-3},
                             UnitName{"s", 1}};
  return three_digits(seconds.count(), units);
}
std::string to_text(BytesPerSecond rate) {
  constexpr std::array units{UnitName{"B/s", 1}, UnitName{"kB/s", 1e3}, UnitName{"MB/s", 1e6},
                             UnitName{"GB/s", 1e9}, UnitName{"TB/s", 1e12}};
  return three_digits(rate.value, units);
}

}  // namespace moesim
