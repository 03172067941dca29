// SPDX-License-Identifier: Apache-2.0
// ggml's block formats: `blocks` whole blocks at `from` (any alignment) -> f32 at `out`. Layouts and the order of
// operations are those that the gguf package documents; all scales are f16, so no value here is ever a subnormal f32:
// every one is a sum or product of whole numbers and multiples of 2^-24.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unha {

// Blocks of 32: one scale, perhaps a minimum.
void widen_q8_0(const std::byte* from, int64_t blocks, float* out);
void widen_q4_0(const std::byte* from, int64_t blocks, float* out);
void widen_q4_1(const std::byte* from, int64_t blocks, float* out);
void widen_q5_0(const std::byte* from, int64_t blocks, float* out);
void widen_q5_1(const std::byte* from, int64_t blocks, float* out);

// Blocks of 256 in groups of 16 or 32, each with a small whole scale, perhaps a minimum.
void widen_q2_k(const std::byte* from, int64_t blocks, float* out);
void widen_q3_k(const std::byte* from, int64_t blocks, float* out);
void widen_q4_k(const std::byte* from, int64_t blocks, float* out);
void widen_q5_k(const std::byte* from, int64_t blocks, float* out);
void widen_q6_k(const std::byte* from, int64_t blocks, float* out);

// Four bits that name one of sixteen unevenly spaced values.
void widen_iq4_nl(const std::byte* from, int64_t blocks, float* out);
void widen_iq4_xs(const std::byte* from, int64_t blocks, float* out);

}  // namespace unha
