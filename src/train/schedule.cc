// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include "base/exact_math.h"

namespace unha {

namespace {
constexpr double kPi = 3.14159265358979323846;

double fraction(int64_t step, int64_t steps) { return static_cast<double>(step) / static_cast<double>(steps); }
}  // namespace

double lr_factor(const ScheduleConfig& c, int64_t step, int64_t steps) {
  if (step < c.warmup_steps) return static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  double x = fraction(step, steps);
  if (x < c.plateau_end) return 1;
  if (x < c.cosine_end) {
    double angle = kPi * (x - c.plateau_end) / (c.cosine_end - c.plateau_end);
    return c.tail_factor + (1 - c.tail_factor) * 0.5 * (1 + exact::cos(angle));
  }
  return x < c.tail_end ? c.tail_factor : c.last_factor;
}

double mtp_weight(const ScheduleConfig& c, int64_t step, int64_t steps) {
  return fraction(step, steps) < c.plateau_end ? c.mtp_weight : c.mtp_weight_late;
}

double router_bias_speed(const ScheduleConfig& c, int64_t step, int64_t steps) {
  return fraction(step, steps) < c.cosine_end ? c.router_bias_speed : 0;
}

}  // namespace unha
