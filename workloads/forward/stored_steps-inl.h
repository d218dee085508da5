// How a vector of float32 is made of each format's codes; included by matrix_vector.cpp once for
// each instruction set (hence no #pragma once, but Highway's guard, which is open once for each).
#if defined(MOESIM_STORED_STEPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESIM_STORED_STEPS_INL_H
#undef MOESIM_STORED_STEPS_INL_H
#else
#define MOESIM_STORED_STEPS_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace moesim {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
using Words = hn::RebindToUnsigned<Tag>;
using Halves = hn::Rebind<std::uint16_t, Tag>;
using Octets = hn::Rebind<std::uint8_t, Tag>;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));

// Code pointers of a tensor lie at any byte; Highway loads them unaligned.
template <class T>
HWY_INLINE const T* codes(const std::byte* row) {
  return reinterpret_cast<const T*>(row);
}

// A step of a format is kSpan elements, decoded as kParts vectors in an order of the format's own;
// x is loaded, and results are stored, in the same order.
struct InOrder {
  static constexpr std::int64_t kParts = 1, kSpan = kLanes;
  static HWY_INLINE void load_x(const float* x, Vector* parts) { parts[0] = hn::LoadU(Tag(), x); }
  static HWY_INLINE void store(const Vector* parts, float* out) {
    hn::StoreU(parts[0], Tag(), out);
  }
};

struct F32 : InOrder {
  static constexpr std::int64_t kBits = 32;
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    parts[0] = hn::LoadU(Tag(), codes<float>(row) + k);
  }
};

struct Bf16 : InOrder {
  static constexpr std::int64_t kBits = 16;
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    const auto halves = hn::LoadU(Halves(), codes<std::uint16_t>(row) + k);
    parts[0] = hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), halves)));
  }
};

// By hand as E4M3 below (bias 112 larger): Highway's own conversion reads infinity as a number
// where the CPU has no instruction for it.
struct F16 : InOrder {
  static constexpr std::int64_t kBits = 16;
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    const Tag d;
    const Words words;
    const auto code = hn::PromoteTo(words, hn::LoadU(Halves(), codes<std::uint16_t>(row) + k));
    const auto sign = hn::ShiftLeft<16>(hn::And(code, hn::Set(words, 0x8000)));
    const auto shifted = hn::ShiftLeft<13>(hn::And(code, hn::Set(words, 0x7FFF)));
    const auto normal = hn::BitCast(d, hn::Add(shifted, hn::Set(words, 112U << 23)));
    const Vector lowest = hn::Set(d, 0x1p-14F);
    const auto subnormal =
        hn::Sub(hn::BitCast(d, hn::Add(shifted, hn::Set(words, 113U << 23))), lowest);
    const auto ones = hn::BitCast(d, hn::Or(shifted, hn::Set(words, 255U << 23)));
    Vector value = hn::IfThenElse(hn::Lt(normal, lowest), subnormal, normal);
    value = hn::IfThenElse(hn::Ge(normal, hn::Set(d, 0x1p16F)), ones, value);
    parts[0] = hn::Or(value, hn::BitCast(d, sign));
  }
};

// Exponent and mantissa go to their places in a float32, whose bias is 120 larger; a subnormal code
// is read as (1 + m/8) 2^-6 and loses 2^-6 again.
struct E4m3 : InOrder {
  static constexpr std::int64_t kBits = 8;
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    const Tag d;
    const Words words;
    const auto code = hn::PromoteTo(words, hn::LoadU(Octets(), codes<std::uint8_t>(row) + k));
    const auto size = hn::And(code, hn::Set(words, 0x7F));
    const auto sign = hn::ShiftLeft<24>(hn::And(code, hn::Set(words, 0x80)));
    const auto shifted = hn::ShiftLeft<20>(size);
    const auto normal = hn::BitCast(d, hn::Add(shifted, hn::Set(words, 120U << 23)));
    const Vector lowest = hn::Set(d, 0x1p-6F);
    const auto subnormal =
        hn::Sub(hn::BitCast(d, hn::Add(shifted, hn::Set(words, 121U << 23))), lowest);
    Vector value = hn::IfThenElse(hn::Lt(normal, lowest), subnormal, normal);
    const auto is_nan = hn::RebindMask(d, hn::Eq(size, hn::Set(words, 0x7F)));
    value = hn::IfThenElse(is_nan, hn::NaN(d), value);
    parts[0] = hn::Or(value, hn::BitCast(d, sign));
  }
};

// Two columns a byte: a step is the even columns and the odd ones of kLanes bytes.
struct Pairs {
  static constexpr std::int64_t kParts = 2, kSpan = 2 * kLanes, kBits = 4;
  static HWY_INLINE void load_x(const float* x, Vector* parts) {
    hn::LoadInterleaved2(Tag(), x, parts[0], parts[1]);
  }
  static HWY_INLINE void store(const Vector* parts, float* out) {
    hn::StoreInterleaved2(parts[0], parts[1], Tag(), out);
  }
};

// Exponent and mantissa to their places (bias 126 larger); 0 and 0.5 as above, by way of 1.
struct E2m1 : Pairs {
  static HWY_INLINE Vector decode(hn::Vec<Words> code) {
    const Tag d;
    const Words words;
    const auto sign = hn::ShiftLeft<28>(hn::And(code, hn::Set(words, 8)));
    const auto shifted = hn::ShiftLeft<22>(hn::And(code, hn::Set(words, 7)));
    const auto normal = hn::BitCast(d, hn::Add(shifted, hn::Set(words, 126U << 23)));
    const Vector one = hn::Set(d, 1.0F);
    const auto small = hn::Sub(hn::BitCast(d, hn::Add(shifted, hn::Set(words, 127U << 23))), one);
    return hn::Or(hn::IfThenElse(hn::Lt(normal, one), small, normal), hn::BitCast(d, sign));
  }
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    const Words words;
    const auto bytes = hn::PromoteTo(words, hn::LoadU(Octets(), codes<std::uint8_t>(row) + k / 2));
    parts[0] = decode(bytes);
    parts[1] = decode(hn::ShiftRight<4>(bytes));
  }
};

struct Int4 : Pairs {
  static HWY_INLINE Vector decode(hn::Vec<Words> code) {
    const hn::RebindToSigned<Tag> ints;
    const auto value = hn::BitCast(ints, hn::And(code, hn::Set(Words(), 15)));
    return hn::ConvertTo(Tag(), hn::Sub(value, hn::Set(ints, 8)));
  }
  static HWY_INLINE void load(const std::byte* row, std::int64_t k, Vector* parts) {
    const Words words;
    const auto bytes = hn::PromoteTo(words, hn::LoadU(Octets(), codes<std::uint8_t>(row) + k / 2));
    parts[0] = decode(bytes);
    parts[1] = decode(hn::ShiftRight<4>(bytes));
  }
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace moesim
HWY_AFTER_NAMESPACE();

#endif  // once for each instruction set
