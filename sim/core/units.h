// Physical quantities with types: bytes do not add to seconds, and every text form carries its
// unit.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace moesim {

using Seconds = std::chrono::duration<double>;

// A value of one unit, stored in the base unit named by `Tag`. Adds and compares with its own kind
// only; a ratio of two of a kind is a plain double.
template <class Tag>
struct Quantity {
  double value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(double base_value) : value(base_value) {}

  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value + b.value);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value - b.value);
  }
  friend constexpr Quantity operator*(Quantity a, double factor) {
    return Quantity(a.value * factor);
  }
  friend constexpr Quantity operator*(double factor, Quantity a) { return a * factor; }
  friend constexpr Quantity operator/(Quantity a, double divisor) {
    return Quantity(a.value / divisor);
  }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value / b.value; }
  constexpr Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value -= other.value;
    return *this;
  }
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads the comparison with 0
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

using Bytes = Quantity<struct BytesUnit>;  // bytes
using Flops = Quantity<struct FlopsUnit>;  // floating-point operations (multiply-add = 2)
using BytesPerSecond = Quantity<struct BytesPerSecondUnit>;  // bytes / s
using FlopsPerSecond = Quantity<struct FlopsPerSecondUnit>;  // FLOP / s

constexpr Seconds operator/(Bytes amount, BytesPerSecond rate) {
  return Seconds(amount.value / rate.value);
}
constexpr Seconds operator/(Flops amount, FlopsPerSecond rate) {
  return Seconds(amount.value / rate.value);
}
constexpr BytesPerSecond operator/(Bytes amount, Seconds time) {
  return BytesPerSecond(amount.value / time.count());
}

namespace literals {
constexpr Bytes operator""_B(unsigned long long n) { return Bytes(static_cast<double>(n)); }
constexpr Bytes operator""_KiB(unsigned long long n) {
  return Bytes(static_cast<double>(n) * 1024.0);
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return Bytes(static_cast<double>(n) * 1048576.0);
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return Bytes(static_cast<double>(n) * 1073741824.0);
}
constexpr Bytes operator""_GB(unsigned long long n) { return Bytes(static_cast<double>(n) * 1e9); }
constexpr BytesPerSecond operator""_GBps(unsigned long long n) {
  return BytesPerSecond(static_cast<double>(n) * 1e9);
}
constexpr BytesPerSecond operator""_Gbps(unsigned long long n) {
  return BytesPerSecond(static_cast<double>(n) * 1e9 / 8);
}
constexpr FlopsPerSecond operator""_TFLOPS(unsigned long long n) {
  return FlopsPerSecond(static_cast<double>(n) * 1e12);
}
constexpr Seconds operator""_us(unsigned long long n) {
  return Seconds(static_cast<double>(n) * 1e-6);
}
}  // namespace literals

// Text forms. Each takes "number unit" ("400 Gb/s", "80 GiB", "2 us", "989 TFLOP/s"); GB = 1e9, GiB
// = 2^30, b = bit and B = byte differ. Throws UnitError (units.cpp) whose text says what was wrong
// and a spelling to use.
Bytes parse_bytes(std::string_view text);
Seconds parse_seconds(std::string_view text);
BytesPerSecond parse_bytes_per_second(std::string_view text);
FlopsPerSecond parse_flops_per_second(std::string_view text);

// The texts that parse_* takes for a quantity, as a regular expression (ECMA 262).
template <class Value>
std::string quantity_pattern();
template <>
std::string quantity_pattern<Bytes>();
template <>
std::string quantity_pattern<Seconds>();
template <>
std::string quantity_pattern<BytesPerSecond>();
template <>
std::string quantity_pattern<FlopsPerSecond>();

// Human forms for people to read: "12.3 GiB", "48.1 us", "50 GB/s". Three significant digits.
std::string to_text(Bytes bytes);
std::string to_text(Seconds seconds);
std::string to_text(BytesPerSecond rate);

}  // namespace moesim
