// SPDX-License-Identifier: Apache-2.0
#include "ops/moe_route.h"

#include <algorithm>
#include <limits>

#include "ops/grain.h"
#include "ops/linear.h"

namespace unha::ops {

namespace {

// Which scores count: writes the score of every expert that may be chosen to `open`, -inf to the others.
template <class R>
void limit_to_groups(const kernels::MoeKernels<R>& moe, const RouteConfig& config, R* open) {
  int64_t E = config.n_routed_experts, G = config.n_group, size = E / G;
  constexpr R kLowest = -std::numeric_limits<R>::infinity();
  R group_scores[kMaxExpertGroups] = {};
  int32_t kept[kMaxExpertGroups] = {};
  for (int64_t g = 0; g < G; ++g) {
    R best = kLowest, second = kLowest;
    for (int64_t e = g * size; e < (g + 1) * size; ++e) {
      if (open[e] > best) {
        second = best;
        best = open[e];
      } else if (open[e] > second) {
        second = open[e];
      }
    }
    group_scores[g] = config.topk == TopK::kNoAuxTc && size > 1 ? best + second : best;
  }
  moe.top_k(group_scores, G, config.topk_group, kept);
  const int32_t* next = kept;
  for (int64_t g = 0; g < G; ++g) {
    if (next < kept + config.topk_group && *next == g) {
      ++next;
    } else {
      std::fill(open + g * size, open + (g + 1) * size, kLowest);
    }
  }
}

template <class R>
void choose(Ctx& ctx, const Tensor& logits, const Weight* bias, const RouteConfig& config, bool normalise, R scale,
            const Routing& out) {
  const auto& moe = ctx.kernels<R>().moe;
  int64_t E = config.n_routed_experts, K = config.num_experts_per_tok;
  constexpr int64_t kRows = 64;
  int64_t tasks = (logits.rows() + kRows - 1) / kRows;
  auto mark = ctx.arena.mark();
  R* open_scores = ctx.arena.allocate<R>(tasks * E);
  bool biased = config.topk == TopK::kNoAuxTc && bias != nullptr;
  bool limited = config.topk != TopK::kGreedy && config.n_group > 1;
  ctx.threads.parallel_for(logits.rows(), kRows, [&](int64_t begin, int64_t end) {
    R* open = open_scores + begin / kRows * E;
    for (int64_t i = begin; i < end; ++i) {
      R* scores = out.scores.row<R>(i);
      (config.scoring == Scoring::kSigmoid ? moe.sigmoid : moe.softmax)(logits.row<R>(i), E, scores);
      if (biased) {
        ctx.kernels<R>().rows.add(scores, bias->value.data<R>(), E, open);
      } else {
        std::copy(scores, scores + E, open);
      }
      if (limited) limit_to_groups(moe, config, open);
      int32_t* ids = out.ids.row<int32_t>(i);
      moe.top_k(open, E, K, ids);
      moe.gates(scores, ids, K, normalise, scale, out.weights.row<R>(i));
    }
  });
  ctx.arena.rewind(mark);
  auto* counts = out.counts.data<int64_t>();
  std::fill(counts, counts + E, 0);
  const int32_t* ids = out.ids.data<int32_t>();
  for (int64_t i = 0; i < out.ids.size(); ++i) ++counts[ids[i]];
}

template <class R>
void backward(Ctx& ctx, const Tensor& logits, const RouteConfig& config, bool normalise, R scale, const Routing& out) {
  const auto& moe = ctx.kernels<R>().moe;
  Tensor d_scores = ctx.tape->grad(out.scores);
  Tensor d_weights = ctx.tape->has_grad(out.weights) ? ctx.tape->grad(out.weights) : Tensor();
  Tensor d_logits = ctx.tape->grad(logits);
  int64_t E = config.n_routed_experts, K = config.num_experts_per_tok;
  ctx.threads.parallel_for(logits.rows(), row_grain(E), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const R* scores = out.scores.row<R>(i);
      R* d = d_scores.row<R>(i);
      if (!d_weights.empty()) {
        moe.gates_back(scores, out.ids.row<int32_t>(i), K, normalise, scale, d_weights.row<R>(i), d);
      }
      auto* back = config.scoring == Scoring::kSigmoid ? moe.sigmoid_back : moe.softmax_back;
      back(scores, d, E, d_logits.row<R>(i));
    }
  });
}

void check(const RouteConfig& config, const Tensor& x, const Weight& gate, const Weight* bias) {
  int64_t E = config.n_routed_experts, K = config.num_experts_per_tok, G = config.n_group;
  UNHA_CHECK(gate.rows() == E && gate.cols() == x.cols(), "moe_route: gate [{}, {}] against {} experts and x [.., {}]",
             gate.rows(), gate.cols(), E, x.cols());
  UNHA_CHECK(bias == nullptr || bias->cols() == E, "moe_route: bias [{}] against {} experts", bias->cols(), E);
  UNHA_CHECK(K >= 1 && K <= kMaxExpertsPerToken && K <= E, "moe_route: {} of {} experts", K, E);
  UNHA_CHECK(config.topk == TopK::kGreedy || (G >= 1 && G <= kMaxExpertGroups && E % G == 0 && config.topk_group >= 1 &&
                                              config.topk_group <= G && config.topk_group * (E / G) >= K),
             "moe_route: {} of {} groups of {} experts", config.topk_group, G, E);
}

}  // namespace

Routing moe_route(Ctx& ctx, Tensor x, const Weight& gate, const Weight* bias, const RouteConfig& config) {
  check(config, x, gate, bias);
  Ctx real = ctx;  // the product keeps its f32 operands in the bf16 classes
  if (ctx.numerics != Numerics::kF64) real.numerics = Numerics::kF32;
  Tensor logits = linear(real, x, gate);
  int64_t N = x.rows(), E = config.n_routed_experts, K = config.num_experts_per_tok;
  Routing out;
  out.ids = ctx.scratch(DType::kI32, N, K);
  out.weights = ctx.make(N, K);
  out.scores = ctx.make(N, E);
  out.counts = ctx.scratch(DType::kI64, 1, E);
  bool v3 = config.topk == TopK::kNoAuxTc;
  bool normalise = config.norm_topk_prob && (v3 || K > 1);
  double scale = v3 || !normalise ? config.routed_scaling_factor : 1;
  ctx.with_real([&](auto r) {
    using R = decltype(r);
    choose<R>(ctx, logits, bias, config, normalise, static_cast<R>(scale), out);
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record("moe_route", [=, c = ctx]() mutable {
      if (!c.tape->has_grad(out.weights) && !c.tape->has_grad(out.scores)) return;
      c.with_real([&](auto r) {
        using R = decltype(r);
        backward<R>(c, logits, config, normalise, static_cast<R>(scale), out);
      });
    });
  }
  return out;
}

}  // namespace unha::ops
