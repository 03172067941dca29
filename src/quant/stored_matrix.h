// SPDX-License-Identifier: Apache-2.0
// A weight matrix as its file stores it, and the one way to read it: widened to f32, a stretch of a row at a time. A
// view: the mapped file owns the bytes. Every format's values are those of its reference (numerics.md section 3), so an
// f32 run equals the dequantised model bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/format.h"

namespace unha {

// Scales beside the matrix, one per block of rows and columns (FP8's weight_scale_inv, deepseek-v3.md section 5):
// value *= scale[(first_row + row) / block_rows][col / block_cols]; blocks at the edges are partial.
struct BlockScales {
  const std::byte* data = nullptr;  // [ceil(rows / block_rows), cols]; any alignment; null: none
  DType dtype = DType::kF32;        // F32, BF16 or F8_E8M0 (2^(byte - 127))
  int64_t block_rows = 0;
  int64_t block_cols = 0;
  int64_t cols = 0;       // ceil(matrix cols / block_cols)
  int64_t first_row = 0;  // of a view: where it begins in the matrix that the blocks are counted from
};

struct StoredMatrix {
  const std::byte* data = nullptr;  // any alignment
  Format format = Format::kF32;
  int64_t rows = 0;
  int64_t cols = 0;       // a multiple of the format's block
  int64_t row_bytes = 0;  // from one row to the next
  BlockScales scales;

  bool empty() const { return data == nullptr; }
  int64_t bytes() const { return rows * row_bytes; }

  // out[i] = f32 of (row, begin + i), i < count. begin is a multiple of the block; so is count, or it runs to the end.
  void widen(int64_t row, int64_t begin, int64_t count, float* out) const;
};

// Rows [begin, begin + rows) of a matrix, as experts lie in a tensor of three dimensions.
StoredMatrix rows_of(const StoredMatrix& m, int64_t begin, int64_t rows);

}  // namespace unha
