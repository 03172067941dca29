// SPDX-License-Identifier: Apache-2.0
#include "ops/balance.h"

#include <algorithm>

namespace unha::ops {

namespace {

struct Runs {
  const Segment* segments;
  int64_t count;
  int64_t tokens;
};

Runs copy_segments(Ctx& ctx, std::span<const Segment> segments, int64_t N) {
  auto* copy = ctx.arena.allocate<Segment>(static_cast<int64_t>(segments.size()));
  std::copy(segments.begin(), segments.end(), copy);
  int64_t tokens = 0;
  for (const Segment& s : segments) {
    UNHA_CHECK(s.begin >= 0 && s.len >= 0 && s.begin + s.len <= N, "balance_loss: segment [{}, {}) of {} rows", s.begin,
               s.begin + s.len, N);
    tokens += s.len;
  }
  return {copy, static_cast<int64_t>(segments.size()), tokens};
}

// f_e of one segment, and the chain over its tokens of s_e / sum_j s_j; returns sum_e f_e * that.
template <class R>
R segment_loss(Ctx& ctx, const Tensor& scores, const Segment& segment, int64_t K, R* f, R* p, R* open) {
  const auto& kernels = ctx.kernels<R>();
  int64_t E = scores.cols();
  std::fill(f, f + E, R{0});
  std::fill(p, p + E, R{0});
  int32_t best[kMaxExpertsPerToken] = {};
  for (int64_t t = segment.begin; t < segment.begin + segment.len; ++t) {
    const R* s = scores.row<R>(t);
    std::copy(s, s + E, open);
    kernels.moe.top_k(open, E, K, best);
    for (int64_t k = 0; k < K; ++k) f[best[k]] += R{1};
    kernels.moe.share(s, E, p);
  }
  for (int64_t e = 0; e < E; ++e) {
    f[e] = static_cast<R>(static_cast<double>(f[e]) * static_cast<double>(E) / static_cast<double>(K * segment.len));
    p[e] = f[e] * p[e];
  }
  return kernels.rows.sum(p, E);
}

template <class R>
void forward(Ctx& ctx, const Tensor& scores, const Runs& runs, int64_t K, double alpha, const Tensor& f,
             const Tensor& value) {
  auto mark = ctx.arena.mark();
  Tensor p = ctx.scratch(ctx.real(), runs.count, scores.cols());
  Tensor open = ctx.scratch(ctx.real(), runs.count, scores.cols());
  R* losses = ctx.arena.allocate<R>(runs.count);
  ctx.threads.parallel_for(runs.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      losses[i] = runs.segments[i].len == 0
                      ? R{0}
                      : segment_loss<R>(ctx, scores, runs.segments[i], K, f.row<R>(i), p.row<R>(i), open.row<R>(i));
    }
  });
  *value.data<R>() =
      ctx.kernels<R>().rows.sum(losses, runs.count) * static_cast<R>(alpha / static_cast<double>(runs.tokens));
  ctx.arena.rewind(mark);
}

template <class R>
void backward(Ctx& ctx, const Tensor& scores, const Runs& runs, double alpha, const Tensor& f) {
  Tensor d_scores = ctx.tape->grad(scores);
  auto scale = static_cast<R>(alpha / static_cast<double>(runs.tokens));
  ctx.threads.parallel_for(runs.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Segment& segment = runs.segments[i];
      for (int64_t t = segment.begin; t < segment.begin + segment.len; ++t) {
        ctx.kernels<R>().moe.share_back(scores.row<R>(t), f.row<R>(i), scale, scores.cols(), d_scores.row<R>(t));
      }
    }
  });
}

}  // namespace

Tensor balance_loss(Ctx& ctx, const Routing& routing, std::span<const Segment> segments, const RouteConfig& config,
                    double alpha) {
  const Tensor& scores = routing.scores;
  int64_t K = config.num_experts_per_tok;
  UNHA_CHECK(K >= 1 && K <= kMaxExpertsPerToken && K <= scores.cols(), "balance_loss: {} of {} experts", K,
             scores.cols());
  Tensor value = ctx.scratch(ctx.real(), 1, 1);
  Runs runs = copy_segments(ctx, segments, scores.rows());
  UNHA_CHECK(runs.tokens > 0, "balance_loss: no tokens");
  Tensor f = ctx.scratch(ctx.real(), runs.count, scores.cols());
  ctx.with_real([&](auto real) { forward<decltype(real)>(ctx, scores, runs, K, alpha, f, value); });
  if (ctx.tape != nullptr && scores.slot() != nullptr) {
    ctx.tape->record("balance_loss", [=, c = ctx]() mutable {
      c.with_real([&](auto real) { backward<decltype(real)>(c, scores, runs, alpha, f); });
    });
  }
  return value;
}

}  // namespace unha::ops
