// SPDX-License-Identifier: Apache-2.0
// What changes over a run: learning rate, MTP's weight, the speed of the router's biases. V3's shape by fraction of the
// run (training.md section 1.2): warm-up, plateau, cosine, two tails.
#pragma once

#include <cstdint>

namespace unha {

struct ScheduleConfig {
  int64_t warmup_steps = 0;
  double plateau_end = 0.676;  // fractions of the run
  double cosine_end = 0.966;
  double tail_end = 0.989;
  double tail_factor = 0.1;  // of the peak: the end of the cosine and the first tail
  double last_factor = 0.0332;
  double mtp_weight = 0.3;  // until the plateau ends
  double mtp_weight_late = 0.1;
  double router_bias_speed = 1e-3;  // until the cosine ends, then 0
};

// step counts from 0; x = step / steps. The factor goes on the peak learning rate.
double lr_factor(const ScheduleConfig& config, int64_t step, int64_t steps);
double mtp_weight(const ScheduleConfig& config, int64_t step, int64_t steps);
double router_bias_speed(const ScheduleConfig& config, int64_t step, int64_t steps);

}  // namespace unha
