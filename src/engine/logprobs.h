// SPDX-License-Identifier: Apache-2.0
// What a row of logits says of the token that was drawn from it, and which tokens it holds most probable. The logits
// are the model's own, before any option of drawing.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace unha {

struct TokenLogprob {
  double logprob = 0;                           // nats
  std::vector<std::pair<int32_t, double>> top;  // id, logprob; the most probable first, ties to the lower id
};

// log softmax of logits [V] at `id` and at the `top` most probable ids (all, if there are fewer). In double, one sum in
// order of id, so every machine gives the same. Logits are finite.
TokenLogprob token_logprob(std::span<const float> logits, int32_t id, int64_t top);

}  // namespace unha
