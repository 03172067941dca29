// SPDX-License-Identifier: Apache-2.0
#include "quant/stored_matrix.h"

#include <cstring>

#include "base/error.h"
#include "quant/blocks.h"
#include "quant/float_bits.h"
#include "quant/fp8.h"

namespace unha {

namespace {
void widen_f64(const std::byte* from, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    double value;
    std::memcpy(&value, from + i * 8, sizeof value);
    out[i] = narrow_f64(value);
  }
}

void widen_f16(const std::byte* from, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = load_f16(from + i * 2);
}

void widen_bf16(const std::byte* from, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = static_cast<uint32_t>(load_u16(from + i * 2)) << 16;
    std::memcpy(out + i, &bits, sizeof bits);
  }
}

void widen_e4m3(const std::byte* from, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = kE4M3[std::to_integer<uint8_t>(from[i])];
}

void widen_blocks(Format format, const std::byte* from, int64_t n, float* out) {
  switch (format) {
    case Format::kF32:
      std::memcpy(out, from, static_cast<size_t>(n) * sizeof(float));
      return;
    case Format::kF64:
      return widen_f64(from, n, out);
    case Format::kF16:
      return widen_f16(from, n, out);
    case Format::kBF16:
      return widen_bf16(from, n, out);
    case Format::kF8E4M3:
      return widen_e4m3(from, n, out);
    case Format::kQ8_0:
      return widen_q8_0(from, n, out);
    case Format::kQ4_0:
      return widen_q4_0(from, n, out);
    case Format::kQ4_1:
      return widen_q4_1(from, n, out);
    case Format::kQ5_0:
      return widen_q5_0(from, n, out);
    case Format::kQ5_1:
      return widen_q5_1(from, n, out);
    case Format::kIQ4_NL:
      return widen_iq4_nl(from, n, out);
    case Format::kQ2_K:
      return widen_q2_k(from, n, out);
    case Format::kQ3_K:
      return widen_q3_k(from, n, out);
    case Format::kQ4_K:
      return widen_q4_k(from, n, out);
    case Format::kQ5_K:
      return widen_q5_k(from, n, out);
    case Format::kQ6_K:
      return widen_q6_k(from, n, out);
    case Format::kIQ4_XS:
      return widen_iq4_xs(from, n, out);
  }
  UNHA_CHECK(false, "format {}", static_cast<int>(format));
}
}  // namespace

void StoredMatrix::widen(int64_t row, int64_t begin, int64_t count, float* out) const {
  int64_t block = format_block(format);
  UNHA_CHECK(row >= 0 && row < rows && begin >= 0 && count >= 0 && begin + count <= cols,
             "row {}, columns [{}, {}) of [{}, {}]", row, begin, begin + count, rows, cols);
  UNHA_CHECK(begin % block == 0 && count % block == 0, "columns [{}, {}) of {}", begin, begin + count,
             format_name(format));
  const std::byte* from = data + row * row_bytes + begin / block * format_block_bytes(format);
  widen_blocks(format, from, count / block, out);
  if (scales.data == nullptr) return;
  UNHA_CHECK(format == Format::kF8E4M3, "scales beside {}", format_name(format));
  apply_scales(scales, row, begin, count, out);
}

StoredMatrix rows_of(const StoredMatrix& m, int64_t begin, int64_t rows) {
  UNHA_CHECK(begin >= 0 && rows >= 0 && begin + rows <= m.rows, "rows [{}, {}) of {}", begin, begin + rows, m.rows);
  StoredMatrix part = m;
  part.data += begin * m.row_bytes;
  part.rows = rows;
  part.scales.first_row += begin;
  return part;
}

}  // namespace unha
