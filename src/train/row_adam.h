// SPDX-License-Identifier: Apache-2.0
// Adam for Engram's tables: only rows that the step touched move, each once, with a learning rate of their own and no
// decay. Rows are independent, so threads and tiers do not change a byte.
//
// Lazy against dense Adam. Bias correction goes by the global step. A row touched in every step so far, and any row up
// to and including its first touch, gets exactly what dense Adam gives it (before the first touch its moments are
// zero). In a step that does not touch a row, dense Adam would shrink its moments and move it on by its momentum; here
// it rests, moments included. So after a pause the old moments count as if the pause had not been.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/params.h"
#include "ops/ctx.h"
#include "ops/leaf_rows.h"

namespace unha {

struct RowAdamConfig {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double eps = 1e-8;
};

class RowAdam {
 public:
  // table: a parameter of role kTable that the store has allocated (f32 or bf16), which must outlive this. Masters
  // start as the table's values, moments as zero.
  RowAdam(Param& table, const RowAdamConfig& config);
  RowAdam(const RowAdam&) = delete;
  RowAdam& operator=(const RowAdam&) = delete;

  // The state, each [rows * D] in the table's order: initial values go into master; a checkpoint holds all three.
  std::span<float> master() { return master_; }
  std::span<float> first_moment() { return first_; }
  std::span<float> second_moment() { return second_; }
  // Writes every row that the forward reads from its master. After master() was written.
  void publish(Ctx& ctx);

  // step counts from 1 and is the same for all parameters. grad_scale: what clipping multiplies gradients with.
  void step(Ctx& ctx, const SparseGrad& grad, int64_t step, double learning_rate, float grad_scale = 1);

  Param& table() { return table_; }

 private:
  Param& table_;
  RowAdamConfig config_;
  std::vector<float> master_, first_, second_;
};

}  // namespace unha
