// SPDX-License-Identifier: Apache-2.0
// The experts. A tile is a few rows of one expert; one thread takes it through all three products while it is in its
// L2, so that a forward is one hand-out of tiles and one pass that sums each token's rows. Saved for backward: gate and
// up of every row, which backward overwrites with their gradients.
#include "ops/moe_experts.h"

#include <algorithm>
#include <cstring>

#include "ops/matmul.h"
#include "ops/moe_plan.h"
#include "ops/operand_rows.h"
#include "ops/panels.h"
#include "ops/thread_scratch.h"

namespace unha::ops {

using kernels::Accumulate;
using kernels::GemmKernels;
using kernels::kPanel;

namespace {

constexpr int64_t kTile = 128;      // rows of an expert per task
constexpr int64_t kBlock = 256;     // tokens per step of a weight gradient's chain
constexpr int64_t kGradTile = 128;  // rows of a weight gradient per task
constexpr int64_t kTokens = 32;     // tokens per task when their rows are summed

// What one call keeps for its backward.
struct Saved {
  MoePlan plan;
  Routing routing;
  Tensor x, y;
  std::byte* gate_up = nullptr;  // real: per row of the plan [2 * width]
};

// Panels of B[K, N] packed from a weight, K along its columns (forward) or its rows (backward).
template <class R>
void pack_weight(const GemmKernels<R>& gemm, const Tensor& w, bool by_columns, std::byte* dst) {
  int64_t K = by_columns ? w.cols() : w.rows(), N = by_columns ? w.rows() : w.cols();
  int64_t k_stride = by_columns ? 1 : w.stride(), n_stride = by_columns ? w.stride() : 1;
  if (w.dtype() == DType::kBF16) {
    gemm.pack_b_bf16(w.data<uint16_t>(), k_stride, n_stride, K, N, dst);
  } else {
    gemm.pack_b(w.data<R>(), k_stride, n_stride, K, N, dst);
  }
}

// Brings the forward panels of all experts up to date that are kept: what packed_panels does, in one hand-out instead
// of one each.
template <class R>
void refresh_panels(Ctx& ctx, const MoePlan& plan) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  auto mark = ctx.arena.mark();
  auto** stale = ctx.arena.allocate<const Weight*>(3 * plan.experts);
  int64_t count = 0;
  for (int64_t e = 0; e < plan.experts; ++e) {
    if (plan.count(e) == 0) continue;
    for (const Weight* w : {plan.weights[e].gate, plan.weights[e].up, plan.weights[e].down}) {
      if (w->forms[0].version == w->version || !keeps_panels(ctx, *w)) continue;
      w->forms[0].resize(static_cast<size_t>(gemm.b_bytes(w->cols(), w->rows())));
      stale[count++] = w;
    }
  }
  ctx.threads.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pack_weight(gemm, stale[i]->value, true, stale[i]->forms[0].data);
      stale[i]->forms[0].version = stale[i]->version;
    }
  });
  ctx.arena.rewind(mark);
}

template <class R>
struct Forward {
  Ctx& ctx;
  const MoePlan& plan;
  const GemmKernels<R>& gemm;
  OperandRows<R> x;
  R* gate_up;  // saved for all rows, or null: in scratch
  R* results;  // [rows, D]

  int64_t scratch_bytes() const {
    int64_t F = plan.widest();
    return gemm.a_bytes(kTile, plan.cols) + gemm.a_bytes(kTile, F) +
           (kTile * 2 + 1) * F * static_cast<int64_t>(sizeof(R)) + panel_scratch_bytes(gemm);
  }

  void tile(const ThreadScratch& scratch, const MoeTile& t) const {
    ThreadScratch::Lease lease(scratch);
    int64_t F = plan.width(t.expert), D = plan.cols;
    const ExpertWeights& w = plan.weights[t.expert];
    int64_t lda = 0, lda_h = gemm.padded_k(F);
    const std::byte* a = x.rows(plan.token + t.begin, t.rows, lease.take(gemm.a_bytes(t.rows, D)), &lda);
    R* gu = gate_up != nullptr ? gate_up + plan.hidden_at(t.begin, 2 * plan.hidden, 2 * plan.shared_hidden)
                               : lease.take_array<R>(t.rows * 2 * F);
    std::byte* panels = lease.take(panel_scratch_bytes(gemm));
    multiply_columns(ctx, a, lda, *w.gate, 0, F, t.rows, gu, 2 * F, panels);
    multiply_columns(ctx, a, lda, *w.up, 0, F, t.rows, gu + F, 2 * F, panels);
    std::byte* h = lease.take(gemm.a_bytes(t.rows, F));
    R* row = lease.take_array<R>(F);
    for (int64_t i = 0; i < t.rows; ++i) {
      ctx.kernels<R>().rows.swiglu(gu + i * 2 * F, gu + i * 2 * F + F, F, row);
      gemm.pack_a(row, F, 1, 1, F, h + i * lda_h * gemm.element_bytes, lda_h);
    }
    multiply_columns(ctx, h, lda_h, *w.down, 0, D, t.rows, results + t.begin * D, D, panels);
  }
};

// f(task) for tiles, each by one thread.
template <class F>
void for_tiles(Ctx& ctx, std::span<const MoeTile> tiles, const F& f) {
  ctx.threads.parallel_for(static_cast<int64_t>(tiles.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(tiles[static_cast<size_t>(i)]);
  });
}

// Few tokens and large experts: tiles would be fewer than threads are worth, so columns are shared out instead, in two
// hand-outs. Same products, same bytes.
template <class R>
struct FewTokens {
  static constexpr int64_t kColumns = 4 * kPanel;  // per task: as wide as one row keeps the registers busy

  const Forward<R>& pass;
  std::byte* operands;  // [rows][padded D], then [rows][padded widest]
  R* gate_up;           // [rows][2][widest]

  static bool suits(const Ctx& ctx, const MoePlan& plan, int64_t tiles) {
    constexpr int64_t kWorthSharing = int64_t{1} << 18;
    return tiles < 4 * ctx.threads.count() && plan.cols * plan.widest() >= kWorthSharing;
  }

  // A task: columns [begin, + rows) of one product of an expert; of its `parts` products, number expert % parts.
  std::span<const MoeTile> column_tasks(int64_t parts, bool down) const {
    const MoePlan& plan = pass.plan;
    int64_t most = (std::max(plan.widest(), plan.cols) + kColumns - 1) / kColumns;
    auto* tasks = pass.ctx.arena.template allocate<MoeTile>(plan.experts * most * parts);
    size_t count = 0;
    for (int64_t e = 0; e < plan.experts; ++e) {
      int64_t columns = down ? plan.cols : plan.width(e);
      for (int64_t n = 0; n < columns && plan.count(e) > 0; n += kColumns) {
        for (int64_t part = 0; part < parts; ++part)
          tasks[count++] = {e * parts + part, n, std::min(kColumns, columns - n)};
      }
    }
    return {tasks, count};
  }

  void run() const {
    const MoePlan& plan = pass.plan;
    const auto& gemm = pass.gemm;
    int64_t D = plan.cols, W = plan.widest(), lda = gemm.padded_k(D), element = gemm.element_bytes;
    for (int64_t r = 0; r < plan.rows(); ++r) {
      std::memcpy(operands + r * lda * element, pass.x.row(plan.token[r]), static_cast<size_t>(gemm.a_bytes(1, D)));
    }
    ThreadScratch scratch(pass.ctx, panel_scratch_bytes(gemm));
    for_tiles(pass.ctx, column_tasks(2, false), [&](const MoeTile& t) {
      ThreadScratch::Lease lease(scratch);
      int64_t e = t.expert / 2, part = t.expert % 2, row = plan.begin[e];
      const Weight* w = part == 0 ? plan.weights[e].gate : plan.weights[e].up;
      multiply_columns(pass.ctx, operands + row * lda * element, lda, *w, t.begin, t.begin + t.rows, plan.count(e),
                       gate_up + (2 * row + part) * W + t.begin, 2 * W, lease.take(panel_scratch_bytes(gemm)));
    });
    std::byte* hidden = operands + plan.rows() * lda * element;
    int64_t ldh = gemm.padded_k(W);
    pass.ctx.threads.parallel_for(plan.rows(), std::max<int64_t>(1, 8192 / W), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t F = r < plan.routed ? plan.hidden : plan.shared_hidden;
        R* gate = gate_up + 2 * r * W;
        pass.ctx.template kernels<R>().rows.swiglu(gate, gate + W, F, gate);
        gemm.pack_a(gate, F, 1, 1, F, hidden + r * ldh * element, gemm.padded_k(F));
      }
    });
    for_tiles(pass.ctx, column_tasks(1, true), [&](const MoeTile& t) {
      ThreadScratch::Lease lease(scratch);
      int64_t row = plan.begin[t.expert];
      multiply_columns(pass.ctx, hidden + row * ldh * element, ldh, *plan.weights[t.expert].down, t.begin,
                       t.begin + t.rows, plan.count(t.expert), pass.results + row * D + t.begin, D,
                       lease.take(panel_scratch_bytes(gemm)));
    });
  }
};

// For each token: f(n, pointers to its rows of `from` by ascending expert, the shared expert's row or null).
template <class R, class F>
void for_tokens(Ctx& ctx, const MoePlan& plan, const R* from, const F& f) {
  ctx.threads.parallel_for(plan.tokens, kTokens, [&](int64_t begin, int64_t end) {
    const R* rows[kMaxExpertsPerToken + 1];
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t k = 0; k < plan.per_token; ++k) rows[k] = from + plan.place[n * plan.per_token + k] * plan.cols;
      f(n, rows, plan.has_shared ? from + (plan.routed + n) * plan.cols : nullptr);
    }
  });
}

template <class R>
void forward(Ctx& ctx, const Saved& s) {
  const MoePlan& plan = s.plan;
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  refresh_panels<R>(ctx, plan);
  auto mark = ctx.arena.mark();
  R* results = ctx.arena.allocate<R>(plan.rows() * plan.cols);
  Forward<R> pass{ctx, plan, gemm, OperandRows<R>::pack(ctx, s.x), reinterpret_cast<R*>(s.gate_up), results};
  auto tiles = row_tiles(ctx, plan, kTile);
  if (s.gate_up == nullptr && FewTokens<R>::suits(ctx, plan, static_cast<int64_t>(tiles.size()))) {
    int64_t rows = plan.rows(), widest = plan.widest();
    auto* operands = ctx.arena.allocate<std::byte>(gemm.a_bytes(rows, plan.cols) + gemm.a_bytes(rows, widest));
    FewTokens<R>{pass, operands, ctx.arena.allocate<R>(rows * 2 * widest)}.run();
  } else {
    ThreadScratch scratch(ctx, pass.scratch_bytes());
    for_tiles(ctx, tiles, [&](const MoeTile& t) { pass.tile(scratch, t); });
  }
  for_tokens(ctx, plan, results, [&](int64_t n, const R* const* rows, const R* shared) {
    ctx.kernels<R>().moe.combine(rows, s.routing.weights.template row<R>(n), plan.per_token, shared, plan.cols,
                                 s.y.template row<R>(n));
  });
  ctx.arena.rewind(mark);
}

template <class R>
struct Backward {
  Ctx& ctx;
  const Saved& saved;
  const MoePlan& plan;
  const GemmKernels<R>& gemm;
  OperandRows<R> x, d_y;
  const std::byte* const* down_panels;     // [experts] W_down as [D, F]
  const std::byte* const* gate_up_panels;  // [experts] W_gate as [F, D], then W_up; null: d_x not wanted
  Tensor d_weights;                        // [N, K]; empty: not wanted
  std::byte* hidden;                       // operands: weight * hidden of every row
  R* d_rows;                               // [rows, D] contributions to d_x

  int64_t operand_width(int64_t F) const { return gemm.padded_k(F); }
  std::byte* hidden_row(int64_t row) const {
    return hidden +
           plan.hidden_at(row, operand_width(plan.hidden), operand_width(plan.shared_hidden)) * gemm.element_bytes;
  }
  R* gate_up_row(int64_t row) const {
    return reinterpret_cast<R*>(saved.gate_up) + plan.hidden_at(row, 2 * plan.hidden, 2 * plan.shared_hidden);
  }

  int64_t row_scratch_bytes() const {
    int64_t F = plan.widest();
    return gemm.a_bytes(kTile, plan.cols) + 2 * gemm.a_bytes(kTile, F) +
           (kTile + 1) * F * static_cast<int64_t>(sizeof(R));
  }

  // Gradients of gate and up (in place), of the routing weights, and each row's contribution to d_x.
  void rows(const ThreadScratch& scratch, const MoeTile& t) const {
    ThreadScratch::Lease lease(scratch);
    int64_t F = plan.width(t.expert), D = plan.cols, lda_h = operand_width(F), lda = 0;
    const std::byte* d = d_y.rows(plan.token + t.begin, t.rows, lease.take(gemm.a_bytes(t.rows, D)), &lda);
    R* d_h = lease.take_array<R>(t.rows * F);
    gemm.multiply(d, lda, down_panels[t.expert], t.rows, F, D, d_h, F, Accumulate::kSet);
    R* row = lease.take_array<R>(F);
    for (int64_t i = 0; i < t.rows; ++i) {
      int64_t r = t.begin + i;
      R* gu = gate_up_row(r);
      bool routed = !plan.is_shared(t.expert);
      R weight = routed ? saved.routing.weights.template data<R>()[plan.slot[r]] : R{1};
      R d_weight = ctx.kernels<R>().moe.expert_back(d_h + i * F, weight, F, gu, gu + F, row);
      gemm.pack_a(row, F, 1, 1, F, hidden_row(r), lda_h);
      if (routed && !d_weights.empty()) {
        R& sum = d_weights.template data<R>()[plan.slot[r]];
        sum = sum + d_weight;
      }
    }
    if (gate_up_panels == nullptr) return;
    const std::byte* panels = gate_up_panels[t.expert];
    std::byte* a = lease.take(gemm.a_bytes(t.rows, F));
    std::byte* b = lease.take(gemm.a_bytes(t.rows, F));
    gemm.pack_a(gate_up_row(t.begin), 2 * F, 1, t.rows, F, a, lda_h);
    gemm.pack_a(gate_up_row(t.begin) + F, 2 * F, 1, t.rows, F, b, lda_h);
    R* out = d_rows + t.begin * D;
    gemm.multiply(a, lda_h, panels, t.rows, D, F, out, D, Accumulate::kSet);
    gemm.multiply(b, lda_h, panels + gemm.b_bytes(F, D), t.rows, D, F, out, D, Accumulate::kContinue);
  }

  int64_t grad_scratch_bytes() const {
    int64_t F = plan.widest(), D = plan.cols, wide = std::max(F, D);
    return 2 * gemm.a_bytes(kGradTile, kBlock) + gemm.b_bytes(kBlock, wide) +
           gemm.a_bytes(kBlock, std::max(D, kGradTile)) + 2 * kGradTile * wide * static_cast<int64_t>(sizeof(R));
  }

  void add_to(const Tensor& grad, int64_t first, int64_t rows, const R* from) const {
    for (int64_t i = 0; i < rows; ++i) {
      ctx.kernels<R>().rows.accumulate(from + i * grad.cols(), grad.cols(), grad.row<R>(first + i));
    }
  }

  // Rows [t.begin, + t.rows) of d_gate and d_up [F, D]: a chain over the expert's tokens of d_hidden^T x.
  void gate_up_grad(const ThreadScratch& scratch, const MoeTile& t) const {
    ThreadScratch::Lease lease(scratch);
    const ExpertWeights& w = plan.weights[t.expert];
    int64_t F = plan.width(t.expert), D = plan.cols;
    R* sums = lease.take_array<R>(2 * t.rows * D);
    std::byte* b = lease.take(gemm.b_bytes(kBlock, D));
    std::byte* gathered = lease.take(gemm.a_bytes(kBlock, D));
    std::byte* a = lease.take(2 * gemm.a_bytes(t.rows, kBlock));
    for (int64_t row = plan.begin[t.expert]; row < plan.begin[t.expert + 1]; row += kBlock) {
      int64_t m = std::min(kBlock, plan.begin[t.expert + 1] - row), lda = gemm.padded_k(m), step = 0;
      const std::byte* tokens = x.rows(plan.token + row, m, gathered, &step);
      x.pack_b(tokens, step, m, D, b);
      const R* d = gate_up_row(row) + t.begin;
      gemm.pack_a(d, 1, 2 * F, t.rows, m, a, lda);
      gemm.pack_a(d + F, 1, 2 * F, t.rows, m, a + t.rows * lda * gemm.element_bytes, lda);
      gemm.multiply(a, lda, b, 2 * t.rows, D, m, sums, D,
                    row == plan.begin[t.expert] ? Accumulate::kSet : Accumulate::kContinue);
    }
    if (w.gate->wants_grad()) add_to(w.gate->grad, t.begin, t.rows, sums);
    if (w.up->wants_grad()) add_to(w.up->grad, t.begin, t.rows, sums + t.rows * D);
  }

  // Rows [t.begin, + t.rows) of d_down [D, F]: a chain over the expert's tokens of d_y^T (weight * hidden).
  void down_grad(const ThreadScratch& scratch, const MoeTile& t) const {
    ThreadScratch::Lease lease(scratch);
    const ExpertWeights& w = plan.weights[t.expert];
    int64_t F = plan.width(t.expert);
    R* sums = lease.take_array<R>(t.rows * F);
    std::byte* b = lease.take(gemm.b_bytes(kBlock, F));
    std::byte* gathered = lease.take(gemm.a_bytes(kBlock, t.rows));
    std::byte* a = lease.take(gemm.a_bytes(t.rows, kBlock));
    for (int64_t row = plan.begin[t.expert]; row < plan.begin[t.expert + 1]; row += kBlock) {
      int64_t m = std::min(kBlock, plan.begin[t.expert + 1] - row), lda = gemm.padded_k(m), step = 0;
      const std::byte* tokens = d_y.rows(plan.token + row, m, t.begin, t.rows, gathered, &step);
      d_y.pack_a_transposed(tokens, step, t.rows, m, a, lda);
      d_y.pack_b(hidden_row(row), operand_width(F), m, F, b);
      gemm.multiply(a, lda, b, t.rows, F, m, sums, F,
                    row == plan.begin[t.expert] ? Accumulate::kSet : Accumulate::kContinue);
    }
    add_to(w.down->grad, t.begin, t.rows, sums);
  }
};

// Panels of the backward products: W_down [D, F] and [W_gate ; W_up] [F, D] as they lie, for experts with tokens.
template <class R>
void pack_back_panels(Ctx& ctx, const MoePlan& plan, bool want_x, const std::byte** down, const std::byte** gate_up) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  auto** to = ctx.arena.allocate<std::byte*>(3 * plan.experts);
  for (int64_t e = 0; e < plan.experts; ++e) {
    int64_t F = plan.width(e), D = plan.cols;
    if (plan.count(e) == 0) {
      to[3 * e] = to[3 * e + 1] = to[3 * e + 2] = nullptr;
      continue;
    }
    down[e] = to[3 * e] = ctx.arena.allocate<std::byte>(gemm.b_bytes(D, F));
    gate_up[e] = to[3 * e + 1] = want_x ? ctx.arena.allocate<std::byte>(2 * gemm.b_bytes(F, D)) : nullptr;
    to[3 * e + 2] = want_x ? to[3 * e + 1] + gemm.b_bytes(F, D) : nullptr;
  }
  ctx.threads.parallel_for(3 * plan.experts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const ExpertWeights& w = plan.weights[i / 3];
      const Weight* weights[3] = {w.down, w.gate, w.up};
      if (to[i] != nullptr) pack_weight(gemm, weights[i % 3]->value, false, to[i]);
    }
  });
}

// Tiles of the rows of weight gradients: gate and up together ([F, D] each), or down ([D, F]).
std::span<const MoeTile> grad_tiles(Ctx& ctx, const MoePlan& plan, bool down) {
  int64_t most = (std::max(plan.widest(), plan.cols) + kGradTile - 1) / kGradTile;
  auto* tiles = ctx.arena.allocate<MoeTile>(plan.experts * most);
  size_t count = 0;
  for (int64_t i = 0; i < plan.experts; ++i) {
    int64_t e = plan.experts - 1 - i;
    const ExpertWeights& w = plan.weights[e];
    bool wanted = down ? w.down->wants_grad() : w.gate->wants_grad() || w.up->wants_grad();
    if (plan.count(e) == 0 || !wanted) continue;
    int64_t rows = down ? plan.cols : plan.width(e);
    for (int64_t r = 0; r < rows; r += kGradTile) tiles[count++] = {e, r, std::min(kGradTile, rows - r)};
  }
  return {tiles, count};
}

template <class R>
void backward(Ctx& ctx, const Saved& s) {
  const MoePlan& plan = s.plan;
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  auto mark = ctx.arena.mark();
  bool want_x = s.x.slot() != nullptr;
  auto** down = ctx.arena.allocate<const std::byte*>(plan.experts);
  auto** gate_up = ctx.arena.allocate<const std::byte*>(plan.experts);
  pack_back_panels<R>(ctx, plan, want_x, down, gate_up);
  int64_t hidden_elements = plan.hidden_at(plan.rows(), gemm.padded_k(plan.hidden), gemm.padded_k(plan.shared_hidden));
  Backward<R> pass{ctx,
                   s,
                   plan,
                   gemm,
                   OperandRows<R>::pack(ctx, s.x),
                   OperandRows<R>::pack(ctx, ctx.tape->grad(s.y)),
                   down,
                   want_x ? gate_up : nullptr,
                   s.routing.weights.slot() != nullptr ? ctx.tape->grad(s.routing.weights) : Tensor(),
                   ctx.arena.allocate<std::byte>(hidden_elements * gemm.element_bytes),
                   want_x ? ctx.arena.allocate<R>(plan.rows() * plan.cols) : nullptr};
  ThreadScratch scratch(ctx, std::max(pass.row_scratch_bytes(), pass.grad_scratch_bytes()));
  for_tiles(ctx, row_tiles(ctx, plan, kTile), [&](const MoeTile& t) { pass.rows(scratch, t); });
  for_tiles(ctx, grad_tiles(ctx, plan, false), [&](const MoeTile& t) { pass.gate_up_grad(scratch, t); });
  for_tiles(ctx, grad_tiles(ctx, plan, true), [&](const MoeTile& t) { pass.down_grad(scratch, t); });
  if (want_x) {
    Tensor d_x = ctx.tape->grad(s.x);
    for_tokens(ctx, plan, static_cast<const R*>(pass.d_rows), [&](int64_t n, const R** rows, const R* shared) {
      int64_t count = plan.per_token;
      if (shared != nullptr) rows[count++] = shared;
      ctx.kernels<R>().moe.combine_back(rows, count, plan.cols, d_x.row<R>(n));
    });
  }
  ctx.arena.rewind(mark);
}

}  // namespace

Tensor moe_experts(Ctx& ctx, Tensor x, const Routing& routing, std::span<const ExpertWeights> experts,
                   const ExpertWeights* shared) {
  UNHA_CHECK(routing.ids.cols() <= kMaxExpertsPerToken, "moe_experts: {} experts per token", routing.ids.cols());
  Saved s{plan_experts(ctx, x, routing, experts, shared), routing, x, ctx.make(x.rows(), x.cols())};
  if (x.rows() == 0) return s.y;
  for (int64_t e = 0; ctx.tape != nullptr && e < s.plan.experts; ++e) {
    const ExpertWeights& w = s.plan.weights[e];
    for (const Weight* weight : {w.gate, w.up, w.down}) check_gradients(ctx, *weight, "moe_experts");
  }
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    if (ctx.tape != nullptr) {
      int64_t reals = s.plan.hidden_at(s.plan.rows(), 2 * s.plan.hidden, 2 * s.plan.shared_hidden);
      s.gate_up = reinterpret_cast<std::byte*>(ctx.arena.allocate<R>(reals));
    }
    forward<R>(ctx, s);
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record("moe_experts", [s, c = ctx]() mutable {
      if (!c.tape->has_grad(s.y)) return;
      c.with_real([&](auto real) { backward<decltype(real)>(c, s); });
    });
  }
  return s.y;
}

}  // namespace unha::ops
