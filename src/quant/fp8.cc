// SPDX-License-Identifier: Apache-2.0
#include "quant/fp8.h"

#include <algorithm>

#include "base/error.h"
#include "quant/float_bits.h"

namespace unha {

namespace {
float load_scale(const BlockScales& scales, int64_t index) {
  switch (scales.dtype) {
    case DType::kF32:
      return std::bit_cast<float>(load_u32(scales.data + index * 4));
    case DType::kBF16:
      return bf16_to_f32(load_u16(scales.data + index * 2));
    case DType::kF8E8M0:
      return e8m0_value(std::to_integer<uint8_t>(scales.data[index]));
    default:
      UNHA_CHECK(false, "scales of type {}", dtype_name(scales.dtype));
      return 0;
  }
}

void multiply(float scale, int64_t count, float* out) {
  // With e4m3's smallest magnitude, 2^-9, no product of such a scale is subnormal. NaN and infinity go this way too.
  constexpr uint32_t kSafe = (127u - 117u) << 23;  // 2^-117
  if ((std::bit_cast<uint32_t>(scale) & 0x7fffffffu) >= kSafe) {
    for (int64_t i = 0; i < count; ++i) out[i] *= scale;
    return;
  }
  double wide = widen_f32(scale);
  for (int64_t i = 0; i < count; ++i) out[i] = narrow_f64(static_cast<double>(out[i]) * wide);
}
}  // namespace

void apply_scales(const BlockScales& scales, int64_t row, int64_t begin, int64_t count, float* out) {
  int64_t first = (scales.first_row + row) / scales.block_rows * scales.cols;
  for (int64_t done = 0; done < count;) {
    int64_t col = begin + done;
    int64_t block = col / scales.block_cols;
    int64_t n = std::min(count - done, (block + 1) * scales.block_cols - col);
    multiply(load_scale(scales, first + block), n, out + done);
    done += n;
  }
}

}  // namespace unha
