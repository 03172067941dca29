// SPDX-License-Identifier: Apache-2.0
// Who works on what in moe_experts: assignments (token, expert) sorted by expert, tokens in order within each. The
// shared expert is one more expert, the last, whose assignments are all tokens. Everything lies in the arena.
#pragma once

#include <cstdint>
#include <span>

#include "ops/moe_experts.h"

namespace unha::ops {

struct MoePlan {
  int64_t tokens = 0;         // N
  int64_t per_token = 0;      // K
  int64_t cols = 0;           // D
  int64_t routed = 0;         // N * K rows before the shared expert's
  int64_t experts = 0;        // the shared one included
  int64_t hidden = 0;         // F of routed experts
  int64_t shared_hidden = 0;  // F of the shared expert
  bool has_shared = false;
  const ExpertWeights* weights = nullptr;  // [experts]
  const int64_t* begin = nullptr;          // [experts + 1] rows of expert e
  const int32_t* token = nullptr;          // [rows()] token of a row
  const int32_t* slot = nullptr;           // [routed] n * K + k of a row
  const int32_t* place = nullptr;          // [N * K] row of (n, k)

  int64_t rows() const { return begin[experts]; }
  int64_t count(int64_t e) const { return begin[e + 1] - begin[e]; }
  bool is_shared(int64_t e) const { return has_shared && e == experts - 1; }
  int64_t width(int64_t e) const { return is_shared(e) ? shared_hidden : hidden; }
  int64_t widest() const { return hidden > shared_hidden ? hidden : shared_hidden; }
  // Where a row's hidden values begin, if each row of an expert holds `width(e) * factor` of them, padded by `pad`.
  int64_t hidden_at(int64_t row, int64_t routed_width, int64_t shared_width) const {
    return row < routed ? row * routed_width : routed * routed_width + (row - routed) * shared_width;
  }
};

// A few rows of one expert, or a few rows of one of its weight gradients.
struct MoeTile {
  int64_t expert = 0;
  int64_t begin = 0;  // row of the plan, or row of the gradient
  int64_t rows = 0;
};

MoePlan plan_experts(Ctx& ctx, const Tensor& x, const Routing& routing, std::span<const ExpertWeights> experts,
                     const ExpertWeights* shared);

// Tiles of at most `size` rows over all experts, the largest expert's first in line.
std::span<const MoeTile> row_tiles(Ctx& ctx, const MoePlan& plan, int64_t size);

}  // namespace unha::ops
