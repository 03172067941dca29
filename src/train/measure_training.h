// SPDX-License-Identifier: Apache-2.0
// Speed of training for `unha bench`: whole steps of the real Trainer on ids drawn at random, and where their time goes
// by op. Model FLOPs are training.md section 5.2's, so recomputed or padded work does not count.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace unha {

struct MeasureTraining {
  int64_t sequence_length = 512;
  int64_t batch_tokens = 4096;
  int64_t steps = 3;  // after one that warms up; the fastest counts
};

struct OpFigures {
  std::string name;
  double forward_s = 0;  // per step
  double backward_s = 0;
  double flops = 0;  // model FLOPs per step, both ways; 0: none are counted for this op
};

struct TrainingFigures {
  int64_t tokens = 0;  // per step
  double step_s = 0;
  double flops_per_token = 0;
  std::vector<OpFigures> ops;  // by time, longest first, the optimizer among them
};

// The sizes of `tiny` (training.md section 5.4) as a config.json object.
Json tiny_config();

// model_config: of the V3 generation.
TrainingFigures measure_training(const Json& model_config, const MeasureTraining& options, Numerics numerics, Isa isa,
                                 Threads& threads);

}  // namespace unha
