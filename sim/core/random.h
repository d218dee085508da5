// The project's own generator and distributions, so that the same seed gives the same numbers on
// every standard library (std:: distributions differ).
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <string_view>
#include <utility>

namespace moesim {

// xoshiro256** seeded by splitmix64 (Blackman and Vigna, https://prng.di.unimi.it). Pass it on as
// an argument.
class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = split_mix(seed);
  }

  // An independent generator for one purpose: same seed and name, same stream.
  static Random named(std::uint64_t seed, std::string_view purpose) {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;  // FNV-1a
    for (const char letter : purpose)
      hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
    return Random(hash);
  }

  std::uint64_t bits() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }  // [0, 1)
  std::uint64_t below(std::uint64_t n) {                                      // [0, n), n > 0
    return static_cast<std::uint64_t>(uniform() * static_cast<double>(n));
  }
  double normal() {  // mean 0, variance 1 (Box-Muller, one of the pair)
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }
  double gumbel() { return -std::log(-std::log(uniform() + 0x1.0p-54)); }

  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  static std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  static std::uint64_t split_mix(std::uint64_t& seed) {
    std::uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_[4]{};
};

}  // namespace moesim
