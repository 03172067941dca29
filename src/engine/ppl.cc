// SPDX-License-Identifier: Apache-2.0
#include "engine/ppl.h"

#include "base/error.h"
#include "base/exact_math.h"
#include "ops/head_loss.h"

namespace unha {

namespace {
constexpr int64_t kShortest = 4;  // below it a half has nothing to score
}

double Perplexity::ppl() const {
  double sum = 0;
  for (double mean : chunks) sum += mean;
  return exact::exp(sum / static_cast<double>(chunks.size()));
}

Perplexity perplexity(Ctx& ctx, Model& model, std::span<const int32_t> ids, int64_t context, int32_t bos,
                      const std::function<bool(int64_t)>& progress) {
  if (context < kShortest) {
    throw_error(ErrorCode::kInvalidArgument, "a context of {} tokens, expected {} or more", context, kShortest);
  }
  int64_t n = static_cast<int64_t>(ids.size()) / context;
  if (n == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the text has {} tokens, a chunk of the context {}", ids.size(), context),
                "give a longer text or a smaller --ctx");
  }
  int64_t first = context / 2;
  Perplexity out;
  out.scored_per_chunk = context - 1 - first;
  Segment segment{0, context - 1, 0};  // nobody asks what follows the last id
  for (int64_t c = 0; c < n; ++c) {
    std::span<const int32_t> chunk = ids.subspan(static_cast<size_t>(c * context), static_cast<size_t>(context));
    std::vector<int32_t> inputs(chunk.begin(), chunk.end() - 1);
    if (bos >= 0) inputs[0] = bos;
    ctx.arena.rewind();
    Tensor h = model.trunk(ctx, Batch{inputs, {&segment, 1}, {}, nullptr});
    Tensor rows = model.final_norm(ctx, h.slice_rows(first, out.scored_per_chunk));
    Tensor nll = ops::head_loss(ctx, rows, model.head(), chunk.subspan(static_cast<size_t>(first) + 1), {}).nll;
    out.chunks.push_back(ops::sum_rows(ctx, nll) / static_cast<double>(out.scored_per_chunk));
    if (progress && !progress(c + 1)) break;
  }
  return out;
}

}  // namespace unha
