// SPDX-License-Identifier: Apache-2.0
// Blocks of 32 numbers. In the formats of four bits, byte j holds number j (low half) and number j + 16 (high half);
// the fifth bits stand together in a word, bit j for number j.
#include "quant/blocks.h"
#include "quant/float_bits.h"

namespace unha {

namespace {
constexpr int kBlock = 32;
constexpr int kHalf = kBlock / 2;

uint32_t byte_at(const std::byte* from, int i) { return std::to_integer<uint32_t>(from[i]); }
}  // namespace

// {f16 d, int8 q[32]}: d * q
void widen_q8_0(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 2 + kBlock, out += kBlock) {
    float d = load_f16(from);
    for (int j = 0; j < kBlock; ++j) out[j] = d * static_cast<float>(static_cast<int8_t>(from[2 + j]));
  }
}

// {f16 d, u8 q[16]}: d * (q - 8)
void widen_q4_0(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 2 + kHalf, out += kBlock) {
    float d = load_f16(from);
    for (int j = 0; j < kHalf; ++j) {
      int32_t q = static_cast<int32_t>(byte_at(from, 2 + j));
      out[j] = d * static_cast<float>((q & 15) - 8);
      out[j + kHalf] = d * static_cast<float>((q >> 4) - 8);
    }
  }
}

// {f16 d, f16 m, u8 q[16]}: d * q + m
void widen_q4_1(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 4 + kHalf, out += kBlock) {
    float d = load_f16(from);
    float m = load_f16(from + 2);
    for (int j = 0; j < kHalf; ++j) {
      int32_t q = static_cast<int32_t>(byte_at(from, 4 + j));
      out[j] = d * static_cast<float>(q & 15) + m;
      out[j + kHalf] = d * static_cast<float>(q >> 4) + m;
    }
  }
}

// {f16 d, u32 fifth bits, u8 q[16]}: d * (q - 16)
void widen_q5_0(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 6 + kHalf, out += kBlock) {
    float d = load_f16(from);
    uint32_t fifth = load_u32(from + 2);
    for (int j = 0; j < kHalf; ++j) {
      uint32_t q = byte_at(from, 6 + j);
      uint32_t low = (q & 15u) | (((fifth >> j) & 1u) << 4);
      uint32_t high = (q >> 4) | (((fifth >> (j + kHalf)) & 1u) << 4);
      out[j] = d * static_cast<float>(static_cast<int32_t>(low) - 16);
      out[j + kHalf] = d * static_cast<float>(static_cast<int32_t>(high) - 16);
    }
  }
}

// {f16 d, f16 m, u32 fifth bits, u8 q[16]}: d * q + m
void widen_q5_1(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 8 + kHalf, out += kBlock) {
    float d = load_f16(from);
    float m = load_f16(from + 2);
    uint32_t fifth = load_u32(from + 4);
    for (int j = 0; j < kHalf; ++j) {
      uint32_t q = byte_at(from, 8 + j);
      uint32_t low = (q & 15u) | (((fifth >> j) & 1u) << 4);
      uint32_t high = (q >> 4) | (((fifth >> (j + kHalf)) & 1u) << 4);
      out[j] = d * static_cast<float>(static_cast<int32_t>(low)) + m;
      out[j + kHalf] = d * static_cast<float>(static_cast<int32_t>(high)) + m;
    }
  }
}

}  // namespace unha
