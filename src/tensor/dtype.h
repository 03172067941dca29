// SPDX-License-Identifier: Apache-2.0
// Element types of tensors, with the spelling of safetensors, and exact conversions of bf16.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace unha {

enum class DType : uint8_t { kF32, kF64, kBF16, kF16, kF8E4M3, kF8E8M0, kI8, kU8, kI16, kU16, kI32, kI64, kBool };

int64_t dtype_bytes(DType dtype);
std::string_view dtype_name(DType dtype);  // F32, BF16, F8_E4M3 ...
std::optional<DType> dtype_from_name(std::string_view name);

inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Round to nearest even; denormals become zero with their sign; NaN stays NaN (quiet).
inline uint16_t f32_to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  if (magnitude < 0x00800000u) return static_cast<uint16_t>((bits >> 16) & 0x8000u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace unha
