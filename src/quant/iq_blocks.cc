// SPDX-License-Identifier: Apache-2.0
// Formats whose four bits are a place in a table of unevenly spaced values. Byte j of a run holds number j (low half)
// and number j + 16 (high half).
#include "quant/blocks.h"
#include "quant/float_bits.h"

namespace unha {

namespace {
constexpr float kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void widen_run(const std::byte* from, float scale, float* out) {  // 16 bytes -> 32 numbers
  float scaled[16];
  for (int i = 0; i < 16; ++i) scaled[i] = scale * kValues[i];
  for (int j = 0; j < 16; ++j) {
    uint32_t q = std::to_integer<uint32_t>(from[j]);
    out[j] = scaled[q & 15u];
    out[j + 16] = scaled[q >> 4];
  }
}
}  // namespace

// {f16 d, u8 q[16]}
void widen_iq4_nl(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 18, out += 32) widen_run(from + 2, load_f16(from), out);
}

// {f16 d, u16 high scales, u8 low scales[4], u8 q[128]}: eight groups of 32, a scale of six bits minus 32 each: pair g
// of the high word on top of half g of the low bytes
void widen_iq4_xs(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, from += 136, out += 256) {
    float d = load_f16(from);
    uint32_t high = load_u16(from + 2);
    for (int group = 0; group < 8; ++group) {
      uint32_t low = (std::to_integer<uint32_t>(from[4 + group / 2]) >> (group % 2 * 4)) & 15u;
      int32_t scale = static_cast<int32_t>(low | ((high >> (2 * group)) & 3u) << 4) - 32;
      widen_run(from + 8 + group * 16, d * static_cast<float>(scale), out + group * 32);
    }
  }
}

}  // namespace unha
