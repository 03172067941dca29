// SPDX-License-Identifier: Apache-2.0
#include "engine/bpb.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "ops/head_loss.h"

namespace unha {

namespace {
constexpr int64_t kTokensAtOnce = 4096;  // windows run together up to here; part of the order of the sum
}

TextScore score_text(Ctx& ctx, Model& model, std::span<const int32_t> ids, int64_t window,
                     const std::function<bool(int64_t)>& progress) {
  UNHA_CHECK(window >= 1, "a window of {} tokens", window);
  auto n = static_cast<int64_t>(ids.size());
  int64_t stride = std::max<int64_t>(window / 2, 1);
  TextScore score;
  std::vector<int32_t> inputs, targets;
  std::vector<Segment> segments;
  auto flush = [&](int64_t scored) {
    ctx.arena.rewind();
    Tensor h = model.trunk(ctx, Batch{inputs, segments, {}, nullptr});
    score.nats += ops::sum_rows(ctx, ops::head_loss(ctx, model.final_norm(ctx, h), model.head(), targets, {}).nll);
    score.tokens = scored;
    inputs.clear();
    targets.clear();
    segments.clear();
    return !progress || progress(scored);
  };
  int64_t scored = 0;  // targets 1 ... scored are done or under way
  for (int64_t begin = 0; scored < n - 1; begin += stride) {
    int64_t len = std::min(window, n - 1 - begin);  // row i of the window predicts ids[begin + i + 1]
    segments.push_back({static_cast<int64_t>(inputs.size()), len, 0});
    for (int64_t i = begin; i < begin + len; ++i) {
      inputs.push_back(ids[static_cast<size_t>(i)]);
      targets.push_back(i + 1 > scored ? ids[static_cast<size_t>(i) + 1] : -1);
    }
    scored = begin + len;
    bool full = static_cast<int64_t>(inputs.size()) + window > kTokensAtOnce;
    if ((full || scored == n - 1) && !flush(scored)) return score;
  }
  return score;
}

}  // namespace unha
