// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 numbers in groups of 16 (Q2_K, Q3_K, Q6_K) or 32 (Q4_K, Q5_K): value = (d * scale) * q - (dmin * min),
// each bracket rounded to f32. The bits of q lie in planes: within a stretch of bytes, one pair (or half) of bits of
// every byte makes a run of consecutive numbers, the next pair the next run.
#include "quant/blocks.h"
#include "quant/float_bits.h"

namespace unha {

namespace {
constexpr int kBlock = 256;

uint32_t byte_at(const std::byte* from, int i) { return std::to_integer<uint32_t>(from[i]); }

// Sixteen scales of six bits: low halves as halves of bytes 0-7, high pairs as pairs of bytes 8-11.
void q3_scales(const std::byte* from, float d, float scales[16]) {
  for (int i = 0; i < 16; ++i) {
    uint32_t low = (byte_at(from, i % 8) >> (i / 8 * 4)) & 15u;
    uint32_t high = (byte_at(from, 8 + i % 4) >> (i / 4 * 2)) & 3u;
    scales[i] = d * static_cast<float>(static_cast<int32_t>(low | high << 4) - 32);
  }
}

// Eight scales and eight minima of six bits each: those of groups 0-3 whole in bytes 0-3 and 4-7, those of groups 4-7
// in the halves of bytes 8-11 with their high pairs on top of bytes 0-7.
void q4_scales(const std::byte* from, float d, float dmin, float scales[8], float mins[8]) {
  for (int i = 0; i < 4; ++i) {
    uint32_t scale = byte_at(from, i);
    uint32_t min = byte_at(from, 4 + i);
    uint32_t both = byte_at(from, 8 + i);
    scales[i] = d * static_cast<float>(static_cast<int32_t>(scale & 63u));
    mins[i] = dmin * static_cast<float>(static_cast<int32_t>(min & 63u));
    scales[4 + i] = d * static_cast<float>(static_cast<int32_t>((both & 15u) | (scale >> 6) << 4));
    mins[4 + i] = dmin * static_cast<float>(static_cast<int32_t>((both >> 4) | (min >> 6) << 4));
  }
}
}  // namespace

// {u8 scale and min [16], u8 q[64], f16 d, f16 dmin}: q of two bits; low half of a scale byte the scale, high the min
void widen_q2_k(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 84, out += kBlock) {
    const std::byte* q = from + 16;
    float d = load_f16(from + 80);
    float dmin = load_f16(from + 82);
    for (int group = 0; group < 16; ++group) {  // half of the block, pair of bits, half of the run of 32
      uint32_t byte = byte_at(from, group);
      float scale = d * static_cast<float>(static_cast<int32_t>(byte & 15u));
      float min = dmin * static_cast<float>(static_cast<int32_t>(byte >> 4));
      const std::byte* run = q + group / 8 * 32 + group % 2 * 16;
      int shift = group / 2 % 4 * 2;
      for (int j = 0; j < 16; ++j) {
        out[group * 16 + j] = scale * static_cast<float>(static_cast<int32_t>((byte_at(run, j) >> shift) & 3u)) - min;
      }
    }
  }
}

// {u8 high[32], u8 q[64], u8 scales[12], f16 d}: q of two bits, minus 4 where the high bit is clear
void widen_q3_k(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 110, out += kBlock) {
    const std::byte* q = from + 32;
    float scales[16];
    q3_scales(from + 96, load_f16(from + 108), scales);
    for (int group = 0; group < 16; ++group) {
      const std::byte* run = q + group / 8 * 32 + group % 2 * 16;
      const std::byte* high = from + group % 2 * 16;
      int shift = group / 2 % 4 * 2;
      int bit = group / 2;
      for (int j = 0; j < 16; ++j) {
        uint32_t low = (byte_at(run, j) >> shift) & 3u;
        uint32_t top = (byte_at(high, j) >> bit) & 1u;
        out[group * 16 + j] = scales[group] * static_cast<float>(static_cast<int32_t>(low | top << 2) - 4);
      }
    }
  }
}

// {f16 d, f16 dmin, u8 scales[12], u8 q[128]}: q of four bits
void widen_q4_k(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 144, out += kBlock) {
    float scales[8], mins[8];
    q4_scales(from + 4, load_f16(from), load_f16(from + 2), scales, mins);
    for (int group = 0; group < 8; ++group) {
      const std::byte* run = from + 16 + group / 2 * 32;
      int shift = group % 2 * 4;
      for (int j = 0; j < 32; ++j) {
        int32_t q = static_cast<int32_t>((byte_at(run, j) >> shift) & 15u);
        out[group * 32 + j] = scales[group] * static_cast<float>(q) - mins[group];
      }
    }
  }
}

// {f16 d, f16 dmin, u8 scales[12], u8 fifth[32], u8 q[128]}: bit g of fifth[j] for number j of group g
void widen_q5_k(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 176, out += kBlock) {
    float scales[8], mins[8];
    q4_scales(from + 4, load_f16(from), load_f16(from + 2), scales, mins);
    const std::byte* fifth = from + 16;
    for (int group = 0; group < 8; ++group) {
      const std::byte* run = from + 48 + group / 2 * 32;
      int shift = group % 2 * 4;
      for (int j = 0; j < 32; ++j) {
        uint32_t low = (byte_at(run, j) >> shift) & 15u;
        uint32_t top = (byte_at(fifth, j) >> group) & 1u;
        out[group * 32 + j] = scales[group] * static_cast<float>(static_cast<int32_t>(low | top << 4)) - mins[group];
      }
    }
  }
}

// {u8 low[128], u8 high[64], i8 scales[16], f16 d}: q of six bits, minus 32. Half a block takes 64 low bytes (halves
// of a byte 64 numbers apart) and 32 high bytes (pairs 32 numbers apart).
void widen_q6_k(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 210, out += kBlock) {
    float d = load_f16(from + 208);
    for (int group = 0; group < 16; ++group) {
      float scale = d * static_cast<float>(static_cast<int8_t>(from[192 + group]));
      int place = group % 8 * 16;  // within half a block of 128
      const std::byte* low_run = from + group / 8 * 64 + place % 64;
      const std::byte* high_run = from + 128 + group / 8 * 32 + place % 32;
      int low_shift = place / 64 * 4;
      int high_shift = place / 32 * 2;
      for (int j = 0; j < 16; ++j) {
        uint32_t low = (byte_at(low_run, j) >> low_shift) & 15u;
        uint32_t high = (byte_at(high_run, j) >> high_shift) & 3u;
        out[group * 16 + j] = scale * static_cast<float>(static_cast<int32_t>(low | high << 4) - 32);
      }
    }
  }
}

}  // namespace unha
