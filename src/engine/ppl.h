// SPDX-License-Identifier: Apache-2.0
// Perplexity of a text as llama-perplexity counts it, to compare with its figures: the text is cut into chunks of the
// context, each read from an empty cache, and the second half of each is scored. What is left over is dropped. Bits per
// byte (bpb.h) score every token and compare models with different tokenizers; this does neither.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/model.h"

namespace unha {

struct Perplexity {
  std::vector<double> chunks;  // mean negative log-probability of the scored tokens, nats
  int64_t scored_per_chunk = 0;

  int64_t tokens_scored() const { return scored_per_chunk * static_cast<int64_t>(chunks.size()); }
  double ppl() const;  // exp of the mean over all scored tokens
};

// Chunk c holds ids [c * context, (c + 1) * context); of it the logits at positions context / 2 ... context - 2 are
// scored against the ids that follow. bos: takes the place of each chunk's first id; -1: it stays. progress is called
// with the number of chunks done; false stops. Error(kInvalidArgument) for a context below 4 or less text than a chunk.
Perplexity perplexity(Ctx& ctx, Model& model, std::span<const int32_t> ids, int64_t context, int32_t bos,
                      const std::function<bool(int64_t)>& progress = {});

}  // namespace unha
