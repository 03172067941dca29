// SPDX-License-Identifier: Apache-2.0
// How well a model predicts a text: every token scored exactly once, in windows with a stride of half their length, so
// that all but the first half of the first window is predicted with at least half a window of context.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/model.h"

namespace unha {

struct TextScore {
  int64_t tokens = 0;  // scored: all but the first
  double nats = 0;

  double bits_per_byte(int64_t bytes) const { return nats / 0.69314718055994530942 / static_cast<double>(bytes); }
};

// ids[0] is context (<bos>) and not scored. progress is called with the tokens scored so far; false stops, and what is
// scored by then is returned. The same forward as training's, so the same bytes for every number of threads.
TextScore score_text(Ctx& ctx, Model& model, std::span<const int32_t> ids, int64_t window,
                     const std::function<bool(int64_t)>& progress = {});

}  // namespace unha
