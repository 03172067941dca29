// SPDX-License-Identifier: Apache-2.0
// AdamW over a ParamStore with f32 masters and moments, RowAdam for Engram's tables, and the global norm. Operand
// roles keep a master beside the rounded value that the forward reads; the others are their own master.
//
// The update is kernels/optim.h's.
// Decay: matrices, head and router; none on vectors, embeddings and tables. Elements are independent, so that neither
// threads nor tiers can change a byte.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "model/model.h"
#include "train/row_adam.h"
#include "train/train_config.h"

namespace unha {

class EngramMemory;

class Optimizer {
 public:
  // The model's parameters are allocated with gradients. Their values are still to come: create() or restore().
  Optimizer(Model& model, const OptimizerConfig& config);

  // Initial values from the seed.
  void create(Ctx& ctx, uint64_t seed);
  // Values of another training or model: every parameter of `weights` (checked by shape; all misfits listed).
  void take_values(Ctx& ctx, const Checkpoint& weights);
  // After take_values: masters and moments. Error(kCorrupt) names what is missing or misshapen.
  void restore(Ctx& ctx, const SafetensorsFile& state);
  // What restore() reads; views of this object's memory.
  std::vector<TensorSource> state() const;

  // L2 over all gradients: sums of squares by tensor, then over tensors in order of name.
  double grad_norm(Ctx& ctx) const;
  // t counts from 1.
  void step(Ctx& ctx, int64_t t, double lr, float grad_scale);

 private:
  struct Slot {
    Param* param = nullptr;
    bool decay = false;
    std::vector<float> master;  // empty: the value is f32 and its own master
    std::vector<float> m, v;
    float* values();
  };
  struct Table {
    Param* param;
    SparseGrad* grad;
    std::unique_ptr<RowAdam> adam;
  };
  void set(Ctx& ctx, Slot& slot);  // master -> value
  template <class Fill>
  void set_all(Ctx& ctx, const Fill& fill);

  OptimizerConfig config_;
  ParamStore& params_;
  std::vector<Slot> slots_;
  std::vector<Table> tables_;
};

// In 16 virtual lanes, in double.
double sum_of_squares(const float* x, int64_t n);

}  // namespace unha
