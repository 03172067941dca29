// SPDX-License-Identifier: Apache-2.0
#include "ops/moe_plan.h"

#include <algorithm>

namespace unha::ops {

namespace {

void check_expert(const ExpertWeights& w, int64_t F, int64_t D) {
  UNHA_CHECK(w.gate->rows() == F && w.gate->cols() == D && w.up->rows() == F && w.up->cols() == D &&
                 w.down->rows() == D && w.down->cols() == F,
             "moe_experts: an expert of gate [{}, {}], up [{}, {}], down [{}, {}] beside width {} and x [.., {}]",
             w.gate->rows(), w.gate->cols(), w.up->rows(), w.up->cols(), w.down->rows(), w.down->cols(), F, D);
}

// Counting sort of the assignments by expert; tokens stay in order.
void sort_assignments(Arena& arena, const Routing& routing, int64_t E, MoePlan* plan) {
  int64_t N = plan->tokens, K = plan->per_token, rows = plan->routed + (plan->has_shared ? N : 0);
  auto* begin = arena.allocate<int64_t>(plan->experts + 1);
  auto* token = arena.allocate<int32_t>(rows);
  auto* slot = arena.allocate<int32_t>(plan->routed);
  auto* place = arena.allocate<int32_t>(plan->routed);
  auto* cursor = arena.allocate<int64_t>(E + 1);
  begin[0] = 0;
  for (int64_t e = 0; e < E; ++e) begin[e + 1] = begin[e] + routing.counts.data<int64_t>()[e];
  UNHA_CHECK(begin[E] == plan->routed, "moe_experts: {} assignments, counts say {}", plan->routed, begin[E]);
  std::copy(begin, begin + E, cursor);
  for (int64_t n = 0; n < N; ++n) {
    const int32_t* ids = routing.ids.row<int32_t>(n);
    for (int64_t k = 0; k < K; ++k) {
      int64_t row = cursor[ids[k]]++;
      token[row] = static_cast<int32_t>(n);
      slot[row] = static_cast<int32_t>(n * K + k);
      place[n * K + k] = static_cast<int32_t>(row);
    }
  }
  if (plan->has_shared) {
    begin[E + 1] = rows;
    for (int64_t n = 0; n < N; ++n) token[plan->routed + n] = static_cast<int32_t>(n);
  }
  plan->begin = begin;
  plan->token = token;
  plan->slot = slot;
  plan->place = place;
}

}  // namespace

MoePlan plan_experts(Ctx& ctx, const Tensor& x, const Routing& routing, std::span<const ExpertWeights> experts,
                     const ExpertWeights* shared) {
  auto E = static_cast<int64_t>(experts.size());
  MoePlan plan;
  plan.tokens = x.rows();
  plan.per_token = routing.ids.cols();
  plan.cols = x.cols();
  plan.routed = plan.tokens * plan.per_token;
  plan.has_shared = shared != nullptr;
  plan.experts = E + (plan.has_shared ? 1 : 0);
  UNHA_CHECK(E > 0 && routing.counts.cols() == E && routing.ids.rows() == x.rows(),
             "moe_experts: {} experts, routing of {} tokens over {} for {} tokens", E, routing.ids.rows(),
             routing.counts.cols(), x.rows());
  plan.hidden = experts[0].gate->rows();
  plan.shared_hidden = plan.has_shared ? shared->gate->rows() : 0;
  auto* weights = ctx.arena.allocate<ExpertWeights>(plan.experts);
  std::copy(experts.begin(), experts.end(), weights);
  if (plan.has_shared) weights[E] = *shared;
  plan.weights = weights;
  for (int64_t e = 0; e < plan.experts; ++e) check_expert(weights[e], plan.width(e), plan.cols);
  sort_assignments(ctx.arena, routing, E, &plan);
  return plan;
}

std::span<const MoeTile> row_tiles(Ctx& ctx, const MoePlan& plan, int64_t size) {
  int64_t count = 0;
  for (int64_t e = 0; e < plan.experts; ++e) count += (plan.count(e) + size - 1) / size;
  auto* tiles = ctx.arena.allocate<MoeTile>(count);
  int64_t made = 0;
  for (int64_t i = 0; i < plan.experts; ++i) {
    int64_t e = plan.experts - 1 - i;  // the shared expert, the largest, first
    for (int64_t row = plan.begin[e]; row < plan.begin[e + 1]; row += size) {
      tiles[made++] = {e, row, std::min(size, plan.begin[e + 1] - row)};
    }
  }
  return {tiles, static_cast<size_t>(count)};
}

}  // namespace unha::ops
