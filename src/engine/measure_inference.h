// SPDX-License-Identifier: Apache-2.0
// Speed of a model's prefill and decode, by context, for `unha bench`: the model's own forward on ids drawn at random,
// without tokenizer, sampling or terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace unha {

struct MeasureInference {
  std::vector<int64_t> contexts = {0, 256, 512};
  int64_t prefill_tokens = 256;  // one chunk, behind `context` positions
  int64_t decode_tokens = 64;
  int64_t repeats = 3;  // the median counts
};

struct InferencePoint {
  int64_t context = 0;  // where it really began: less than asked for if the model's context is shorter
  int64_t prefill_tokens = 0;
  double prefill_tokens_per_s = 0;
  double prefill_flops_per_token = 0;
  double decode_tokens_per_s = 0;
  double decode_flops_per_token = 0;
  double decode_bytes_per_token = 0;  // weights used, cache and Engram rows: read once for each token
};

// Prefill is the trunk over the chunk and the head on its last row; decode is greedy.
std::vector<InferencePoint> measure_inference(Model& model, Ctx& ctx, const MeasureInference& options);

}  // namespace unha
