// SPDX-License-Identifier: Apache-2.0
// Tokens of a call are a flat list; a Segment says which run belongs to which sequence. Training packs documents as
// segments at position 0; prefill is one long segment; decode is many of length 1. There is no batch axis, no padding.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace unha {

struct Segment {
  int64_t begin = 0;  // first row of this call
  int64_t len = 0;    // rows
  int64_t pos0 = 0;   // position of the first row in its sequence; > 0 only with a cache
};

// Rows of one cached quantity of one sequence, by position: row p at rows + p * stride * dtype_bytes. Rows [0, pos0)
// are there; an op writes [pos0, pos0 + len). Dense, 64-byte aligned, zero beyond what was written.
struct CacheRows {
  std::byte* rows = nullptr;  // null: no cache (training)
  DType dtype = DType::kF32;
  int64_t stride = 0;    // elements
  int64_t capacity = 0;  // positions
};

}  // namespace unha
