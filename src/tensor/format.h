// SPDX-License-Identifier: Apache-2.0
// How the elements of a stored weight are laid out: single numbers, or blocks of numbers that share scales (ggml's
// types). Sizes only, so that containers can check bounds; what the bits mean is quant/'s business.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace unha {

enum class Format : uint8_t {
  kF32,
  kF64,
  kF16,
  kBF16,
  kF8E4M3,  // one number each
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,    // blocks of 32
  kIQ4_NL,  // blocks of 32
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_XS,  // blocks of 256
};
inline constexpr int kFormats = static_cast<int>(Format::kIQ4_XS) + 1;

int64_t format_block(Format format);          // numbers in a block: 1, 32 or 256
int64_t format_block_bytes(Format format);    // bytes of a block
std::string_view format_name(Format format);  // F32, BF16, F8_E4M3, Q4_K ...

// Bytes of a row of `cols` numbers; cols is a multiple of the block.
inline int64_t format_row_bytes(Format format, int64_t cols) {
  return cols / format_block(format) * format_block_bytes(format);
}

}  // namespace unha
