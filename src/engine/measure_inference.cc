// SPDX-License-Identifier: Apache-2.0
#include "engine/measure_inference.h"

#include <algorithm>
#include <chrono>

#include "base/rng.h"
#include "engine/clock.h"
#include "engine/memory_plan.h"
#include "ops/linear.h"

namespace unha {

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One sequence that reads ids behind what its cache holds.
class Timeline {
 public:
  Timeline(Model& model, Ctx& ctx, int64_t capacity)
      : model_(model), ctx_(ctx), cache_(model.cache_layout(), ctx.operand(), capacity) {}

  void cut(int64_t length) { cache_.set_length(length); }

  // Greedy choice after the last of the ids.
  int32_t read(std::span<const int32_t> ids) {
    ctx_.arena.rewind();
    auto n = static_cast<int64_t>(ids.size());
    Segment segment{0, n, cache_.length()};
    SequenceCache* cache = &cache_;
    Batch batch{ids, {&segment, 1}, {&cache, 1}};
    Tensor last = model_.trunk(ctx_, batch).slice_rows(n - 1, 1);
    cache_.set_length(segment.pos0 + n);
    Tensor logits = ops::linear(ctx_, model_.final_norm(ctx_, last), model_.head());  // [1, V]
    const float* row = logits.row<float>(0);
    return static_cast<int32_t>(std::max_element(row, row + logits.cols()) - row);
  }

 private:
  Model& model_;
  Ctx& ctx_;
  SequenceCache cache_;
};

std::vector<int32_t> random_ids(int64_t n, int64_t vocab) {
  Rng rng(1, Purpose::kTest, 0);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab))));
  return ids;
}

// Forward FLOPs of the token at a position. costs(n) is the mean over positions 0 to n - 1, and linear in n.
double flops_at(const Model& model, double position) {
  double one = model.costs(1).forward_flops_per_token, three = model.costs(3).forward_flops_per_token;
  return one + position * (three - one);
}

InferencePoint measure_point(Model& model, Ctx& ctx, Timeline& line, std::span<const int32_t> ids, int64_t context,
                             const MeasureInference& options) {
  InferencePoint point;
  int64_t room = static_cast<int64_t>(ids.size());
  point.context = std::min(context, room - std::min(room, options.decode_tokens));
  point.prefill_tokens = std::min(options.prefill_tokens, room - point.context);
  auto at = static_cast<size_t>(point.context);
  line.cut(0);
  if (at > 0) line.read(ids.first(at));
  std::vector<double> prefill, decode;
  for (int64_t run = 0; run <= options.repeats; ++run) {  // the first run warms up
    line.cut(point.context);
    auto start = Clock::now();
    line.read(ids.subspan(at, static_cast<size_t>(point.prefill_tokens)));
    double prefill_s = seconds_since(start);
    line.cut(point.context);
    int32_t id = ids[at];
    int64_t tokens = std::min(options.decode_tokens, room - point.context);
    start = Clock::now();
    for (int64_t i = 0; i < tokens; ++i) id = line.read({&id, 1});
    double decode_s = seconds_since(start);
    if (run == 0) continue;
    prefill.push_back(static_cast<double>(point.prefill_tokens) / prefill_s);
    decode.push_back(static_cast<double>(tokens) / decode_s);
  }
  point.prefill_tokens_per_s = median(prefill);
  point.decode_tokens_per_s = median(decode);
  double decode_middle = static_cast<double>(point.context) + static_cast<double>(options.decode_tokens) / 2;
  // The head runs on one row of a prefill.
  auto head = 2.0 * static_cast<double>(model.vocab_size() * model.hidden_size());
  auto chunk = static_cast<double>(point.prefill_tokens);
  point.prefill_flops_per_token =
      flops_at(model, static_cast<double>(point.context) + chunk / 2) - head * (chunk - 1) / chunk;
  point.decode_flops_per_token = flops_at(model, decode_middle);
  point.decode_bytes_per_token = decode_bytes(model, ctx.operand(), decode_middle);
  return point;
}

}  // namespace

std::vector<InferencePoint> measure_inference(Model& model, Ctx& ctx, const MeasureInference& options) {
  int64_t longest = 0;
  for (int64_t context : options.contexts) longest = std::max(longest, context);
  longest = std::min(longest + std::max(options.prefill_tokens, options.decode_tokens), model.max_positions());
  Timeline line(model, ctx, longest);
  std::vector<int32_t> ids = random_ids(longest, model.vocab_size());
  std::vector<InferencePoint> points;
  for (int64_t context : options.contexts) points.push_back(measure_point(model, ctx, line, ids, context, options));
  return points;
}

}  // namespace unha
