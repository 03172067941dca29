// SPDX-License-Identifier: Apache-2.0
// Exact conversions of the small float types to f32. All work on bits, so that a thread that flushes denormals (base/
// threads.h) gets the same values as one that does not: a subnormal of f16 or e4m3 is a normal f32, and the subnormals
// that f32 does have (from bf16, f64, products with tiny scales) are handed on as they are stored. Arithmetic later
// takes them for zero (numerics.md section 4).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace unha {

// Any alignment.
inline uint16_t load_u16(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}
inline uint32_t load_u32(const std::byte* at) {
  uint32_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

// Signed and without branches, so that a loop of it becomes vector code. Infinity and NaN stay what they are.
inline float f16_to_f32(uint16_t half) {
  constexpr int32_t kBias = 112 << 23;  // exponent bias 15 -> 127
  int32_t magnitude = half & 0x7fff;
  int32_t sign = static_cast<int32_t>(static_cast<uint32_t>(half & 0x8000) << 16);
  int32_t normal = (magnitude << 13) + kBias;
  int32_t infinite = normal + kBias;                      // exponent 31 -> 255
  float tiny = static_cast<float>(magnitude) * 0x1p-24f;  // a subnormal counts units of 2^-24
  int32_t bits = magnitude > 0x7bff ? infinite : normal;
  bits = magnitude < 0x0400 ? std::bit_cast<int32_t>(tiny) : bits;
  return std::bit_cast<float>(bits | sign);
}
inline float load_f16(const std::byte* at) { return f16_to_f32(load_u16(at)); }

// Round to nearest even, once; what is too large becomes infinity, and what is too small for a normal f32 its nearest
// subnormal, made as an integer because the hardware may flush it.
inline float narrow_f64(double value) {
  constexpr double kSmallestNormal = 0x1p-126;
  if (!(value < kSmallestNormal && value > -kSmallestNormal)) return static_cast<float>(value);
  double units = (value < 0 ? -value : value) * 0x1p149;  // below 2^23, in units of the smallest subnormal
  uint32_t rounded = static_cast<uint32_t>(std::bit_cast<uint64_t>(units + 0x1p52));  // low bits of the sum's mantissa
  uint32_t sign = static_cast<uint32_t>(std::bit_cast<uint64_t>(value) >> 63) << 31;
  return std::bit_cast<float>(rounded | sign);
}

// An f32 as a double, subnormal or not.
inline double widen_f32(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x00800000u) return static_cast<double>(value);
  double tiny = static_cast<double>(magnitude) * 0x1p-149;
  return bits >> 31 ? -tiny : tiny;
}

// OCP FP8 E4M3: bias 7, no infinity; 0x7F and 0xFF are NaN. Smallest magnitude 2^-9, largest 448.
constexpr float e4m3_value(uint8_t code) {
  int exponent = (code >> 3) & 15;
  int mantissa = code & 7;
  uint32_t sign = static_cast<uint32_t>(code & 0x80) << 24;
  if ((code & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fc00000u | sign);
  if (exponent == 0) {
    float tiny = static_cast<float>(mantissa) * 0x1p-9f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(tiny) | sign);
  }
  return std::bit_cast<float>((static_cast<uint32_t>(exponent + 120) << 23) | (static_cast<uint32_t>(mantissa) << 20) |
                              sign);
}
inline constexpr std::array<float, 256> kE4M3 = [] {
  std::array<float, 256> table{};
  for (int code = 0; code < 256; ++code) table[static_cast<size_t>(code)] = e4m3_value(static_cast<uint8_t>(code));
  return table;
}();

// OCP E8M0: 2^(code - 127); 255 is NaN, 0 the subnormal 2^-127.
constexpr float e8m0_value(uint8_t code) {
  if (code == 0xff) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(code == 0 ? 0x00400000u : static_cast<uint32_t>(code) << 23);
}

}  // namespace unha
