// SPDX-License-Identifier: Apache-2.0
#include "quant/stored_matrix.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "base/sha256.h"
#include "base/threads.h"
#include "quant/float_bits.h"

namespace unha {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kCols = 1024;

// Bytes that any language makes in a line: the top byte of x = x * 1664525 + 1013904223, x = seed before the first.
std::vector<std::byte> random_bytes(uint32_t seed, int64_t n) {
  std::vector<std::byte> bytes(static_cast<size_t>(n));
  for (std::byte& byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(seed >> 24);
  }
  return bytes;
}

StoredMatrix matrix_over(Format format, const std::byte* data, int64_t rows = kRows, int64_t cols = kCols) {
  return {data, format, rows, cols, format_row_bytes(format, cols), {}};
}

std::vector<float> widened(const StoredMatrix& m) {
  std::vector<float> values(static_cast<size_t>(m.rows * m.cols));
  for (int64_t row = 0; row < m.rows; ++row) m.widen(row, 0, m.cols, values.data() + row * m.cols);
  return values;
}

// All NaNs alike.
std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (float v : values) bits.push_back(std::isnan(v) ? 0x7fc00000u : std::bit_cast<uint32_t>(v));
  return bits;
}

std::string digest_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits = bits_of(values);
  Sha256 sha;
  sha.update(bits.data(), bits.size() * sizeof(uint32_t));
  return sha.hex();
}

template <class F>
void with_denormals_flushed(const F& f) {
  std::thread([&] {
    flush_denormals();
    f();
  }).join();
}

// SHA-256 of the 8192 values that gguf.quants of PyPI's gguf 0.19.0 makes of random_bytes(place in this list + 1).
struct Known {
  Format format;
  const char* digest;
};
const Known kKnown[] = {
    {Format::kF16, "a2d97dbe41262f59a6b2220e97b32539fcbcc16f95af7ec42f6d4a5484eb6c3a"},
    {Format::kBF16, "918a521a8321de167272bba6da63e8a6202e79f6b549b8457b17087dc54b5930"},
    {Format::kQ8_0, "4c5a4cbb4dfe166b7c5bb71e35b0854b70389fc3ff8d5597a9b90dc2c9450473"},
    {Format::kQ4_0, "d1bf6e7a6e8527dfb204703419477ff2b86f8b22acdb6eaf2e3b30559b4c3efe"},
    {Format::kQ4_1, "20e663977d73307601417064457097240727e4fe547de82252b08e5f03d704a9"},
    {Format::kQ5_0, "0c4eb1461bf2121e472a141cb239d707424a83f8066de70e1b458558148a7567"},
    {Format::kQ5_1, "48ad8570fe76214b3eae8a508a578deef9497369df3258fb4b0559ecffe4c475"},
    {Format::kIQ4_NL, "977b1d043ba6e7f999cbb9dbcc95c85d53199fa153f1a29141fa05e4d871e0e1"},
    {Format::kQ2_K, "8a127363f67583e80e6d255d40f2ef43e40426ef7bf194042362e8cac6ff19be"},
    {Format::kQ3_K, "a06d1774dbf1c01f96f3fc4a1aa90d8b9e811f9ad08a46a6ac08c251eac71775"},
    {Format::kQ4_K, "ea0a2f74c6ee58c430544a9922c0a05f80dbf953085e16687721c5b6a8e55067"},
    {Format::kQ5_K, "cae455a9684cfc25349ed19da16a4857f78c74c4793d14db81961101b0bd8e6e"},
    {Format::kQ6_K, "d029e3536b4a6769a4efbb2aa49a25d4b2453c99503d7e5647edb68c1d0e1ff6"},
    {Format::kIQ4_XS, "af562fd0eb210233055792f7ae929d1f53c5e941c01df604c3105cd80937a3e9"},
};

TEST(StoredMatrix, RandomBlocksGiveTheValuesOfTheReference) {
  uint32_t seed = 0;
  for (const Known& known : kKnown) {
    std::vector<std::byte> bytes = random_bytes(++seed, kRows * format_row_bytes(known.format, kCols));
    StoredMatrix m = matrix_over(known.format, bytes.data());
    EXPECT_EQ(digest_of(widened(m)), known.digest) << format_name(known.format);
    with_denormals_flushed([&] { EXPECT_EQ(digest_of(widened(m)), known.digest) << format_name(known.format); });
  }
}

TEST(StoredMatrix, AStretchAtAnyAlignmentEqualsTheWhole) {
  for (int f = 0; f < kFormats; ++f) {
    Format format = static_cast<Format>(f);
    std::vector<std::byte> bytes = random_bytes(99, kRows * format_row_bytes(format, kCols));
    std::vector<float> whole = widened(matrix_over(format, bytes.data()));
    std::vector<std::byte> odd(bytes.size() + 3);
    std::memcpy(odd.data() + 3, bytes.data(), bytes.size());
    StoredMatrix m = matrix_over(format, odd.data() + 3);
    int64_t block = format_block(format);
    int64_t step = block == 1 ? 37 : block * 3;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t begin = 0; begin < kCols; begin += step) {
        int64_t count = std::min(step, kCols - begin);
        std::vector<float> got(static_cast<size_t>(count) + 1, 7.0f);
        m.widen(row, begin, count, got.data());
        ASSERT_EQ(got.back(), 7.0f) << format_name(format) << ": written past the end";
        got.pop_back();
        auto from = whole.begin() + row * kCols + begin;
        ASSERT_EQ(bits_of(got), bits_of({from, from + count})) << format_name(format) << " row " << row;
      }
    }
  }
}

TEST(StoredMatrix, RowsOfIsAViewOfThoseRows) {
  std::vector<std::byte> bytes = random_bytes(5, kRows * format_row_bytes(Format::kQ4_K, kCols));
  StoredMatrix m = matrix_over(Format::kQ4_K, bytes.data());
  std::vector<float> whole = widened(m);
  StoredMatrix part = rows_of(m, 3, 2);
  EXPECT_EQ(part.rows, 2);
  EXPECT_EQ(bits_of(widened(part)), bits_of({whole.begin() + 3 * kCols, whole.begin() + 5 * kCols}));
}

TEST(StoredMatrix, F64IsRoundedOnceAndItsSmallValuesSurvive) {
  const std::vector<double> values = {
      1.0,      1.0 + 0x1p-24,  1.0 + 0x1.8p-23,    1e300,     -1e300, 0x1p-149, -0x1p-149, 0x1p-150, 0x1.8p-150,
      0x1p-127, 0x1.fffffp-127, -0x1.23456789p-130, 0x1p-1060, -0.0};
  std::vector<float> expected;
  for (double v : values) expected.push_back(static_cast<float>(v));
  EXPECT_EQ(expected[5], 0x1p-149f) << "this test needs subnormals on its main thread";
  StoredMatrix m = matrix_over(Format::kF64, reinterpret_cast<const std::byte*>(values.data()), 1,
                               static_cast<int64_t>(values.size()));
  EXPECT_EQ(bits_of(widened(m)), bits_of(expected));
  with_denormals_flushed([&] { EXPECT_EQ(bits_of(widened(m)), bits_of(expected)); });
}

TEST(StoredMatrix, F32AndBf16KeepTheirSubnormalBits) {
  std::vector<float> stored = {std::bit_cast<float>(1u), std::bit_cast<float>(0x80000001u), 1.5f};
  StoredMatrix m = matrix_over(Format::kF32, reinterpret_cast<const std::byte*>(stored.data()), 1, 3);
  std::vector<uint16_t> halves = {0x0001, 0x8001, 0x3fc0};
  StoredMatrix b = matrix_over(Format::kBF16, reinterpret_cast<const std::byte*>(halves.data()), 1, 3);
  with_denormals_flushed([&] {
    EXPECT_EQ(bits_of(widened(m)), (std::vector<uint32_t>{1, 0x80000001u, 0x3fc00000u}));
    EXPECT_EQ(bits_of(widened(b)), (std::vector<uint32_t>{0x10000, 0x80010000u, 0x3fc00000u}));
  });
}

TEST(FloatBits, EveryF16) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    int exponent = static_cast<int>(h >> 10 & 31);
    double mantissa = h & 0x3ff;
    double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) value = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
    if (h >> 15) value = -value;
    float got = f16_to_f32(static_cast<uint16_t>(h));
    ASSERT_TRUE(std::isnan(value) ? std::isnan(got)
                                  : std::bit_cast<uint32_t>(got) == std::bit_cast<uint32_t>(static_cast<float>(value)))
        << h;
  }
}

TEST(FloatBits, EveryE4M3AndE8M0) {
  for (int code = 0; code < 256; ++code) {
    int exponent = code >> 3 & 15;
    double value = exponent == 0 ? std::ldexp(code & 7, -9) : std::ldexp(8 + (code & 7), exponent - 10);
    if (code >> 7) value = -value;
    float got = kE4M3[static_cast<size_t>(code)];
    EXPECT_TRUE((code & 127) == 127
                    ? std::isnan(got)
                    : std::bit_cast<uint32_t>(got) == std::bit_cast<uint32_t>(static_cast<float>(value)))
        << code;
    float scale = e8m0_value(static_cast<uint8_t>(code));
    EXPECT_TRUE(code == 255 ? std::isnan(scale) : scale == std::ldexp(1.0f, code - 127)) << code;
  }
}

// FP8 codes 0..255 over and over in a [5, 7] matrix with blocks of 2 x 3: partial blocks at both edges.
struct Fp8Case {
  static constexpr int64_t rows = 5, cols = 7, block_rows = 2, block_cols = 3, scale_cols = 3;
  std::vector<uint8_t> codes;
  std::vector<std::byte> scale_bytes = std::vector<std::byte>(1);  // the scales begin at an odd address
  std::vector<float> scale_values;

  Fp8Case() {
    for (int64_t i = 0; i < rows * cols; ++i) codes.push_back(static_cast<uint8_t>(i * 7 + 1));
  }
  void add(const void* scale, size_t bytes, float value) {
    const auto* from = static_cast<const std::byte*>(scale);
    scale_bytes.insert(scale_bytes.end(), from, from + bytes);
    scale_values.push_back(value);
  }
  StoredMatrix matrix(DType dtype) const {
    StoredMatrix m = matrix_over(Format::kF8E4M3, reinterpret_cast<const std::byte*>(codes.data()), rows, cols);
    m.scales = {scale_bytes.data() + 1, dtype, block_rows, block_cols, scale_cols};
    return m;
  }
  std::vector<float> expected() const {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * cols; ++i) {
      int64_t block = i / cols / block_rows * scale_cols + i % cols / block_cols;
      double e4m3 = static_cast<double>(kE4M3[codes[static_cast<size_t>(i)]]);
      values.push_back(static_cast<float>(e4m3 * static_cast<double>(scale_values[static_cast<size_t>(block)])));
    }
    return values;
  }
  void check(DType dtype) const {
    std::vector<uint32_t> bits = bits_of(expected());
    EXPECT_EQ(bits_of(widened(matrix(dtype))), bits) << dtype_name(dtype);
    with_denormals_flushed([&] { EXPECT_EQ(bits_of(widened(matrix(dtype))), bits) << dtype_name(dtype); });
  }
};

TEST(Fp8, ScalesOfThreeTypesWithPartialBlocks) {
  Fp8Case f32, bf16, e8m0;
  for (uint32_t i = 0; i < 9; ++i) {
    float value = (static_cast<float>(i) - 4.3f) * 0.0123f;
    f32.add(&value, 4, value);
    uint16_t half = f32_to_bf16(value);
    bf16.add(&half, 2, bf16_to_f32(half));
    uint8_t code = static_cast<uint8_t>(100 + i * 7);
    e8m0.add(&code, 1, e8m0_value(code));
  }
  f32.check(DType::kF32);
  bf16.check(DType::kBF16);
  e8m0.check(DType::kF8E8M0);
}

TEST(Fp8, TinyScalesAreNotFlushedAndNanStaysNan) {
  Fp8Case f32, e8m0;
  for (uint32_t i = 0; i < 9; ++i) {  // 2^-114 down to the smallest subnormal
    float value = i == 8 ? std::bit_cast<float>(1u) : std::bit_cast<float>(0x06000000u - i * 0x00b00000u + i);
    f32.add(&value, 4, value);
    uint8_t code = static_cast<uint8_t>(i == 7 ? 255 : i);
    e8m0.add(&code, 1, e8m0_value(code));
  }
  f32.check(DType::kF32);
  e8m0.check(DType::kF8E8M0);
}

TEST(Fp8, AViewCountsItsBlocksFromTheWhole) {
  Fp8Case f32;
  for (uint32_t i = 0; i < 9; ++i) {
    float value = static_cast<float>(i + 1);
    f32.add(&value, 4, value);
  }
  std::vector<float> whole = widened(f32.matrix(DType::kF32));
  for (int64_t begin = 0; begin < f32.rows; ++begin) {
    std::vector<float> part = widened(rows_of(rows_of(f32.matrix(DType::kF32), begin, f32.rows - begin), 0, 1));
    EXPECT_EQ(bits_of(part), bits_of({whole.begin() + begin * f32.cols, whole.begin() + (begin + 1) * f32.cols}));
  }
  // Stretches that begin and end within a block.
  for (int64_t begin = 0; begin < f32.cols; ++begin) {
    std::vector<float> part(static_cast<size_t>(f32.cols - begin));
    f32.matrix(DType::kF32).widen(4, begin, f32.cols - begin, part.data());
    EXPECT_EQ(bits_of(part), bits_of({whole.begin() + 4 * f32.cols + begin, whole.end()}));
  }
}

}  // namespace
}  // namespace unha
