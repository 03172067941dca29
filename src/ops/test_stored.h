// SPDX-License-Identifier: Apache-2.0
// For tests: a weight in any stored format with tame random values, and the same weight widened to f32.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "ops/weight.h"

namespace unha {

// Where a block of `format` has its f16 scales and minimums.
inline std::vector<int64_t> f16_fields(Format format) {
  switch (format) {
    case Format::kQ8_0:
    case Format::kQ4_0:
    case Format::kQ5_0:
    case Format::kIQ4_NL:
    case Format::kIQ4_XS:
      return {0};
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4_K:
    case Format::kQ5_K:
      return {0, 2};
    case Format::kQ2_K:
      return {80, 82};
    case Format::kQ3_K:
      return {108};
    case Format::kQ6_K:
      return {208};
    default:
      return {};
  }
}

class StoredPair {
 public:
  StoredPair(Format format, int64_t rows, int64_t cols, uint64_t seed)
      : bytes_(static_cast<size_t>(rows * format_row_bytes(format, cols) + 1)),
        values_(static_cast<size_t>(rows * cols)) {
    Rng rng(seed, Purpose::kTest, static_cast<uint64_t>(format));
    std::byte* data = bytes_.data() + 1;  // never aligned
    fill(format, rows * cols, rng, data);
    stored_.stored = {data, format, rows, cols, format_row_bytes(format, cols), {}};
    stored_.value = Tensor(nullptr, DType::kF32, rows, cols);
    if (format == Format::kF8E4M3) add_scales(rows, cols, rng);
    for (int64_t r = 0; r < rows; ++r) stored_.stored.widen(r, 0, cols, values_.data() + r * cols);
    widened_.value = Tensor(values_.data(), DType::kF32, rows, cols);
  }
  StoredPair(const StoredPair&) = delete;
  StoredPair& operator=(const StoredPair&) = delete;

  Weight& stored() { return stored_; }
  Weight& widened() { return widened_; }
  const std::vector<float>& values() const { return values_; }

 private:
  static void fill(Format format, int64_t count, Rng& rng, std::byte* data) {
    int64_t block = format_block_bytes(format);
    for (int64_t i = 0; i < count; i += format_block(format), data += block) {
      if (format == Format::kF64) {
        double value = rng.uniform() - 0.5;
        std::memcpy(data, &value, 8);
      } else if (format == Format::kF32 || format == Format::kBF16) {
        auto value = static_cast<float>(rng.uniform() - 0.5);
        std::memcpy(data, reinterpret_cast<const std::byte*>(&value) + 4 - block, static_cast<size_t>(block));
      } else if (format == Format::kF16) {
        put_f16(data, rng, 8);
      } else if (format == Format::kF8E4M3) {
        uint32_t bits = rng.next_u32() & 0xffu;
        *data = static_cast<std::byte>((bits & 0x7fu) == 0x7fu ? 0 : bits);  // no NaN
      } else {
        for (int64_t b = 0; b < block; ++b) data[b] = static_cast<std::byte>(rng.next_u32() & 0xffu);
        for (int64_t at : f16_fields(format)) put_f16(data + at, rng, 0);
      }
    }
  }
  // Of an exponent that keeps values tame: 2^-12 to 2^-5, raised by `raise`.
  static void put_f16(std::byte* to, Rng& rng, uint32_t raise) {
    uint32_t bits = rng.next_u32();
    auto half = static_cast<uint16_t>((bits & 0x83ffu) | ((3 + raise + (bits >> 16) % 8) << 10));
    std::memcpy(to, &half, 2);
  }
  void add_scales(int64_t rows, int64_t cols, Rng& rng) {
    constexpr int64_t kBlock = 32;
    int64_t across = (cols + kBlock - 1) / kBlock, down = (rows + kBlock - 1) / kBlock;
    for (int64_t i = 0; i < across * down; ++i) scales_.push_back(static_cast<float>(0.001 + 0.01 * rng.uniform()));
    stored_.stored.scales = {reinterpret_cast<const std::byte*>(scales_.data()), DType::kF32, kBlock, kBlock, across};
  }

  std::vector<std::byte> bytes_;
  std::vector<float> values_, scales_;
  Weight stored_, widened_;
};

inline Format format_at(int i) { return static_cast<Format>(i); }

}  // namespace unha
