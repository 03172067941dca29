// SPDX-License-Identifier: Apache-2.0
// A whole run: model and data from the config, the loop, the log, held-out text, checkpoints, resuming. Speaks to its
// caller through events; prints nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace unha {

struct RunOptions {
  std::string out;
  bool resume = false;
  int64_t stop_after = 0;  // step at which to save and stop; 0: none
  Numerics numerics = Numerics::kF32;
  Isa isa = Isa::kScalar;
  Json log_header = Json::object();  // host, commit and the like, for the log alone
};

struct RunProgress {
  StepStats stats;
  int64_t steps = 0;
  double tokens_per_s = 0;  // of recent steps
  double tflops = 0;
  double seconds_left = 0;
  double bpb = 0;  // the last measured on held-out text; 0: none
};

struct RunEvents {
  std::function<void(const RunProgress&)> progress;
  std::function<void(const std::string&)> note;  // a line worth keeping
  std::function<bool()> stop;                    // asked between steps: save and return
};

struct RunResult {
  int64_t steps_done = 0;
  bool finished = false;
  bool stopped = false;  // by events.stop
  std::string checkpoint;
};

// Error(kUsage) if `out` holds something and resume is not set.
RunResult run_training(const TrainConfig& config, const RunOptions& options, const RunEvents& events, Threads& threads,
                       FileSystem& fs);

}  // namespace unha
