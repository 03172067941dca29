// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace unha {

namespace {

// e^x for x <= 0, relative error below 1e-13, from + and * alone; 0 below e^-60, where no draw can see it. It is what
// sampling spends its time on, so it does without the pairs of exact::exp.
double exp_negative(double x) {
  if (x < -60) return 0;
  constexpr double kMagic = 6755399441055744.0;  // adds and takes away the fraction
  double n = (x * 0x1.71547652b82fep+0 + kMagic) - kMagic;
  double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  double y = 1.0 / 6227020800;  // 1/13!
  constexpr double kInverse[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
  for (double c : kInverse) y = y * r + c;
  return y * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

void check_range(const char* name, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    throw_error(ErrorCode::kUsage, "{}: expected {} to {}, found {}", name, low, high, value);
  }
}

}  // namespace

void check_sampling(const SamplingOptions& o) {
  check_range("temperature", o.temperature, 0, 100);
  check_range("top-p", o.top_p, 0, 1);
  check_range("min-p", o.min_p, 0, 1);
  check_range("repetition-penalty", o.repetition_penalty, 0.01, 100);
  if (o.top_k < 0) throw_error(ErrorCode::kUsage, "top-k: expected 0 or more, found {}", o.top_k);
}

Sampler::Sampler(const SamplingOptions& options, int64_t drawable)
    : options_(options), seen_(static_cast<size_t>(drawable)), banned_(static_cast<size_t>(drawable)) {
  check_sampling(options);
  UNHA_CHECK(drawable > 0, "no id can be drawn");
  candidates_.reserve(static_cast<size_t>(drawable));
}

void Sampler::seen(int32_t id) {
  if (id >= 0 && static_cast<size_t>(id) < seen_.size()) seen_[static_cast<size_t>(id)] = 1;
}

void Sampler::ban(int32_t id) {
  if (id >= 0 && static_cast<size_t>(id) < banned_.size()) banned_[static_cast<size_t>(id)] = 1;
}

double Sampler::logit(const float* logits, int64_t id) const {
  auto x = static_cast<double>(logits[id]);
  if (seen_[static_cast<size_t>(id)] != 0 && options_.repetition_penalty != 1) {
    x = x > 0 ? x / options_.repetition_penalty : x * options_.repetition_penalty;
  }
  return x;
}

int32_t Sampler::greatest(const float* logits) const {
  int32_t best = -1;
  double most = 0;
  for (size_t id = 0; id < seen_.size(); ++id) {
    if (!std::isfinite(logits[id])) {
      throw_error(ErrorCode::kCorrupt, "the model's logit of token {} is {}; its weights are damaged", id, logits[id]);
    }
    if (banned_[id] != 0) continue;
    double x = logit(logits, static_cast<int64_t>(id));
    if (best < 0 || x > most) {
      most = x;
      best = static_cast<int32_t>(id);
    }
  }
  UNHA_CHECK(best >= 0, "every id is banned");
  return best;
}

int32_t Sampler::draw(const float* logits, int64_t position) {
  int32_t best = greatest(logits);
  if (options_.temperature == 0 || options_.top_k == 1) return best;
  double top = logit(logits, best);
  candidates_.clear();
  for (size_t id = 0; id < seen_.size(); ++id) {
    if (banned_[id] != 0) continue;
    double weight = exp_negative((logit(logits, static_cast<int64_t>(id)) - top) / options_.temperature);
    if (weight > 0) candidates_.push_back({weight, static_cast<int32_t>(id)});
  }
  // A heap ranks them in descending order, as many as the draw needs: rank i lies i places before the end.
  auto n = static_cast<int64_t>(candidates_.size());
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  std::make_heap(candidates_.begin(), candidates_.end(), less);
  int64_t popped = 0;
  auto ranked = [&](int64_t i) -> const Candidate& {
    for (; popped <= i; ++popped) std::pop_heap(candidates_.begin(), candidates_.end() - popped, less);
    return candidates_[static_cast<size_t>(n - 1 - i)];
  };
  int64_t kept = n;
  if (options_.top_k > 0 && options_.top_k < n) {
    kept = options_.top_k;
    total = 0;
    for (int64_t i = 0; i < kept; ++i) total += ranked(i).weight;
  }
  if (options_.top_p < 1 || options_.min_p > 0) {
    double mass = ranked(0).weight;
    int64_t some = 1;
    // Weights are shares of the greatest, which is 1.
    while (some < kept && mass < options_.top_p * total && ranked(some).weight >= options_.min_p) {
      mass += ranked(some++).weight;
    }
    kept = some;
    total = mass;
  }
  double u = Rng(options_.seed, Purpose::kSample, options_.sample).uniform_double_at(static_cast<uint64_t>(position));
  double sum = 0;
  for (int64_t i = 0; i < kept; ++i) {
    sum += ranked(i).weight;
    if (sum > u * total) return ranked(i).id;
  }
  return ranked(kept - 1).id;
}

}  // namespace unha
