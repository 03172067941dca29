// SPDX-License-Identifier: Apache-2.0
// One training step: forward and backward of each gradient group through the model's own trunk, head and MTP, the
// groups' gradients met in a fixed binary tree, clipping, optimizer, router biases. A step is a pure function of the
// state and the data; nothing here knows of files, time or logs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"
#include "ops/leaf_rows.h"
#include "train/data_loader.h"
#include "train/optimizer.h"
#include "train/train_config.h"

namespace unha {

struct StepStats {
  int64_t step = 0;         // of this step, from 1
  int64_t tokens = 0;       // of this step
  int64_t targets = 0;      // learned tokens among them
  double loss = 0;          // nats per target
  double loss_mtp = 0;      // the same, mean over modules; not weighted
  double loss_balance = 0;  // sum over MoE layers, alpha included
  double lr = 0;
  double grad_norm = 0;  // before clipping
  bool clipped = false;
  double max_vio = 0;  // the worst layer's (max load - mean) / mean
};

// Thrown by step() before anything has changed.
class DivergedError : public Error {
 public:
  using Error::Error;
};

class Trainer {
 public:
  // model: allocated with gradients; documents outlive this.
  Trainer(Model& model, const TrainConfig& config, const Documents& documents, Numerics numerics, Isa isa,
          Threads& threads);

  StepStats step();
  // One step with its time by op, and "optimizer" for what follows the gradients. It is a step like any other.
  StepStats profiled_step(StepProfile& profile);

  int64_t steps_done() const { return steps_done_; }
  int64_t tokens_done() const { return tokens_done_; }
  DataLoader& loader() { return loader_; }
  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }
  Ctx& ctx() { return ctx_; }
  // The batch of the step that ran last, as JSON: what a diverged run leaves behind.
  std::string batch_json() const;

  // State beside the optimizer's: counters, cursor, recent gradient norms.
  std::vector<int64_t> counters() const;
  const std::vector<double>& recent_norms() const { return recent_norms_; }
  void restore(std::span<const int64_t> counters, std::vector<double> recent_norms);
  static constexpr int64_t kCounters = 5;
  static constexpr size_t kRecentNorms = 101;

 private:
  class Routes;
  class Guard;
  struct Sums {
    double main = 0, mtp = 0, balance = 0;
  };
  // A group's gradients, dense and sparse.
  struct Grads {
    std::vector<std::byte> memory;
    std::byte* dense = nullptr;  // 64-byte aligned
    std::vector<SparseGrad> tables;
  };

  Sums run_group(const PackedRows& rows, double alpha, Routes& routes, Guard& guard);
  void all_groups(Routes& routes, Guard& guard, Sums& sums);
  void add_grads(const Grads& left);
  void check(const StepStats& stats, const Guard& guard) const;
  void move_biases(const Routes& routes, double speed);
  double max_violation(const Routes& routes) const;

  Model& model_;
  const TrainConfig& config_;
  DataLoader loader_;
  Arena arena_;
  Tape tape_;
  Ctx ctx_;
  StepProfile* profile_ = nullptr;
  Optimizer optimizer_;
  std::vector<Grads> waiting_;  // of the tree, by level
  std::vector<PackedRows> batch_;
  std::vector<float> row_scale_;
  int64_t targets_ = 0;  // of the batch
  int64_t rows_ = 0;
  int64_t steps_done_ = 0;
  int64_t tokens_done_ = 0;
  std::vector<double> recent_norms_;
};

}  // namespace unha
