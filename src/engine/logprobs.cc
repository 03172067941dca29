// SPDX-License-Identifier: Apache-2.0
#include "engine/logprobs.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/exact_math.h"

namespace unha {

TokenLogprob token_logprob(std::span<const float> logits, int32_t id, int64_t top) {
  UNHA_CHECK(id >= 0 && static_cast<size_t>(id) < logits.size(), "id {} of {}", id, logits.size());
  auto greatest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (float x : logits) sum += exact::exp(static_cast<double>(x) - greatest);
  double log_sum = exact::log(sum);
  auto logprob = [&](int32_t at) { return static_cast<double>(logits[static_cast<size_t>(at)]) - greatest - log_sum; };
  TokenLogprob out{logprob(id), {}};
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  auto kept = order.begin() + std::min<int64_t>(top, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), kept, order.end(), [&](int32_t a, int32_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  });
  for (auto at = order.begin(); at != kept; ++at) out.top.emplace_back(*at, logprob(*at));
  return out;
}

}  // namespace unha
