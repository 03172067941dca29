// SPDX-License-Identifier: Apache-2.0
// Two stages per chunk of rows. First, tile by tile of a few rows, by one thread each: logits in its L2, cross entropy,
// their gradient, from it the gradient of h, and the gradient once more as panels. Second, when the head wants a
// gradient, d_head^T += h^T d_logits over the chunk, threads owning columns: every element one chain over all rows.
#include "ops/head_loss.h"

#include <algorithm>
#include <cstring>

#include "ops/grain.h"
#include "ops/matmul.h"
#include "ops/panels.h"
#include "ops/thread_scratch.h"

namespace unha::ops {

using kernels::Accumulate;
using kernels::GemmKernels;
using kernels::kPanel;

namespace {

constexpr int64_t kTile = 32;      // rows whose logits one thread holds
constexpr int64_t kPanelTile = 4;  // panels of the vocabulary per task of the second stage
constexpr int64_t kAddBlock = 64;  // vocabulary rows per task when d_head is turned round

// The rows that count, by number, with what they need.
struct Scored {
  const int32_t* rows;
  const int32_t* targets;
  const float* scales;
  int64_t count;
};

Scored scored_rows(Arena& arena, std::span<const int32_t> targets, std::span<const float> row_scale, int64_t V) {
  auto n = static_cast<int64_t>(targets.size());
  auto* rows = arena.allocate<int32_t>(n);
  auto* wanted = arena.allocate<int32_t>(n);
  auto* scales = arena.allocate<float>(n);
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    UNHA_CHECK(targets[i] < V, "head_loss: target {} of {} logits", targets[i], V);
    if (targets[i] < 0) continue;
    rows[count] = static_cast<int32_t>(i);
    wanted[count] = targets[i];
    scales[count++] = row_scale.empty() ? 1.0f : row_scale[i];
  }
  return {rows, wanted, scales, count};
}

template <class R>
struct HeadPass {
  Ctx& ctx;
  const GemmKernels<R>& gemm;
  Scored scored;
  int64_t V, D;
  const Weight& head;            // [V, D], for the logits
  const std::byte* back_panels;  // head as [V, D], for d_h; null: not wanted
  const R* h;                    // the chunk's rows [S, D]
  R* nll;                        // of all rows
  R* d_h;                        // [count, D]
  std::byte* d_panels;           // the chunk's d_logits as [S, V]; null: not wanted

  int64_t tile_bytes() const {
    return kTile * V * static_cast<int64_t>(sizeof(R)) + gemm.a_bytes(kTile, D) + gemm.a_bytes(kTile, V) +
           panel_scratch_bytes(gemm);
  }

  // Rows [begin, end) of the chunk that starts at `first` and has S rows.
  void tile(const ThreadScratch& scratch, int64_t first, int64_t S, int64_t begin, int64_t end) const {
    ThreadScratch::Lease lease(scratch);
    int64_t m = end - begin;
    R* z = lease.take_array<R>(kTile * V);
    std::byte* a = lease.take(gemm.a_bytes(kTile, D));
    gemm.pack_a(h + begin * D, D, 1, m, D, a, gemm.padded_k(D));
    multiply_columns(ctx, a, gemm.padded_k(D), head, 0, V, m, z, V, lease.take(panel_scratch_bytes(gemm)));
    bool gradient = back_panels != nullptr || d_panels != nullptr;
    for (int64_t i = 0; i < m; ++i) {
      int64_t row = first + begin + i;
      nll[scored.rows[row]] = ctx.kernels<R>().loss.cross_entropy(z + i * V, V, scored.targets[row], gradient,
                                                                  static_cast<R>(scored.scales[row]));
    }
    if (back_panels != nullptr) {
      std::byte* d = lease.take(gemm.a_bytes(kTile, V));
      gemm.pack_a(z, V, 1, m, V, d, gemm.padded_k(V));
      gemm.multiply(d, gemm.padded_k(V), back_panels, m, D, V, d_h + (first + begin) * D, D, Accumulate::kSet);
    }
    if (d_panels == nullptr) return;
    for (int64_t n0 = 0; n0 < V; n0 += kPanel) {
      gemm.pack_b(z + n0, V, 1, m, std::min(kPanel, V - n0),
                  d_panels + n0 / kPanel * gemm.panel_bytes(S) + begin * kPanel * gemm.element_bytes);
    }
  }

  // d_head_t [D, V] continues over the chunk.
  void head_chain(int64_t first, int64_t S, R* d_head_t) const {
    auto mark = ctx.arena.mark();
    int64_t lda = gemm.padded_k(S);
    auto* a = ctx.arena.allocate<std::byte>(gemm.a_bytes(D, S));  // h^T
    ctx.threads.parallel_for(D, 64, [&](int64_t begin, int64_t end) {
      gemm.pack_a(h + begin, 1, D, end - begin, S, a + begin * lda * gemm.element_bytes, lda);
    });
    int64_t tiles = (V + kPanel * kPanelTile - 1) / (kPanel * kPanelTile);
    ctx.threads.parallel_for(tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        int64_t n0 = t * kPanel * kPanelTile;
        gemm.multiply(a, lda, d_panels + n0 / kPanel * gemm.panel_bytes(S), D, std::min(kPanel * kPanelTile, V - n0), S,
                      d_head_t + n0, V, first == 0 ? Accumulate::kSet : Accumulate::kContinue);
      }
    });
    ctx.arena.rewind(mark);
  }
};

template <class R>
const std::byte* pack_back(Ctx& ctx, const Weight& head) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  int64_t V = head.rows(), D = head.cols();
  auto* dst = ctx.arena.allocate<std::byte>(gemm.b_bytes(V, D));
  ctx.threads.parallel_for((D + kPanel - 1) / kPanel, 1, [&](int64_t begin, int64_t end) {
    int64_t n0 = begin * kPanel, n = std::min(D, end * kPanel) - n0;
    std::byte* out = dst + begin * gemm.panel_bytes(V);
    if (head.value.dtype() == DType::kBF16) {
      gemm.pack_b_bf16(head.value.data<uint16_t>() + n0, head.value.stride(), 1, V, n, out);
    } else {
      gemm.pack_b(head.value.data<R>() + n0, head.value.stride(), 1, V, n, out);
    }
  });
  return dst;
}

int64_t default_chunk(int64_t V) {
  constexpr int64_t kElements = int64_t{1} << 21;
  return std::clamp<int64_t>(kElements / V / kTile * kTile, 2 * kTile, 1024);
}

// d_h, d_head_t: null where no gradient is wanted.
template <class R>
void forward(Ctx& ctx, const Tensor& h, const Weight& head, const Scored& scored, int64_t chunk, R* nll, R* d_h,
             R* d_head_t) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  if (keeps_panels(ctx, head)) packed_panels(ctx, head);
  auto mark = ctx.arena.mark();
  int64_t V = head.rows(), D = head.cols();
  HeadPass<R> pass{ctx,     gemm, scored, V,      D, head, d_h != nullptr ? pack_back<R>(ctx, head) : nullptr,
                   nullptr, nll,  d_h,    nullptr};
  ThreadScratch scratch(ctx, pass.tile_bytes());
  int64_t most = std::min(chunk, scored.count);
  R* rows = ctx.arena.allocate<R>(most * D);
  if (d_head_t != nullptr) pass.d_panels = ctx.arena.allocate<std::byte>(gemm.b_bytes(most, V));
  pass.h = rows;
  for (int64_t first = 0; first < scored.count; first += chunk) {
    int64_t S = std::min(chunk, scored.count - first);
    ctx.threads.parallel_for(S, kTile, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        std::memcpy(rows + i * D, h.row<R>(scored.rows[first + i]), static_cast<size_t>(D) * sizeof(R));
      }
      pass.tile(scratch, first, S, begin, end);
    });
    if (d_head_t != nullptr) pass.head_chain(first, S, d_head_t);
  }
  ctx.arena.rewind(mark);
}

template <class R>
void backward(Ctx& ctx, const Tensor& h, const Weight& head, const Scored& scored, const R* d_h, const R* d_head_t) {
  int64_t V = head.rows(), D = head.cols();
  if (d_h != nullptr) {
    Tensor sum = ctx.tape->grad(h);
    ctx.threads.parallel_for(scored.count, row_grain(D), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        ctx.kernels<R>().rows.accumulate(d_h + i * D, D, sum.row<R>(scored.rows[i]));
    });
  }
  if (d_head_t != nullptr) {
    ctx.threads.parallel_for(V, kAddBlock, [&](int64_t begin, int64_t end) {
      for (int64_t d0 = 0; d0 < D; d0 += 16) {
        int64_t d1 = std::min(D, d0 + 16);
        for (int64_t v = begin; v < end; ++v) {
          R* row = head.grad.row<R>(v);
          for (int64_t d = d0; d < d1; ++d) row[d] = row[d] + d_head_t[d * V + v];
        }
      }
    });
  }
}

}  // namespace

HeadLoss head_loss(Ctx& ctx, Tensor h, const Weight& head, std::span<const int32_t> targets,
                   std::span<const float> row_scale, int64_t chunk_rows) {
  int64_t N = h.rows(), V = head.rows(), D = head.cols();
  UNHA_CHECK(D == h.cols(), "head_loss: head [{}, {}] against h [.., {}]", V, D, h.cols());
  UNHA_CHECK(static_cast<int64_t>(targets.size()) == N && (row_scale.empty() || row_scale.size() == targets.size()),
             "head_loss: {} targets and {} scales for {} rows", targets.size(), row_scale.size(), N);
  UNHA_CHECK(chunk_rows >= 0 && chunk_rows % 2 == 0, "head_loss: chunks of {} rows", chunk_rows);
  HeadLoss result{ctx.scratch(ctx.real(), N, 1)};
  std::memset(result.nll.bytes(), 0, static_cast<size_t>(N * dtype_bytes(ctx.real())));
  Scored scored = scored_rows(ctx.arena, targets, row_scale, V);
  if (scored.count == 0) return result;
  int64_t chunk = chunk_rows != 0 ? chunk_rows : default_chunk(V);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    bool recording = ctx.tape != nullptr;
    check_gradients(ctx, head, "head_loss");
    R* d_h = recording && h.slot() != nullptr ? ctx.arena.allocate<R>(scored.count * D) : nullptr;
    R* d_head_t = recording && head.wants_grad() ? ctx.arena.allocate<R>(D * V) : nullptr;
    forward<R>(ctx, h, head, scored, chunk, result.nll.data<R>(), d_h, d_head_t);
    if (d_h == nullptr && d_head_t == nullptr) return;
    ctx.tape->record("head_loss", [=, &head, c = ctx]() mutable { backward<R>(c, h, head, scored, d_h, d_head_t); });
  });
  return result;
}

double sum_rows(Ctx& ctx, const Tensor& column) {
  UNHA_CHECK(column.dense(), "sum_rows: rows with gaps");
  return ctx.with_real([&](auto real) -> double {
    using R = decltype(real);
    return static_cast<double>(ctx.kernels<R>().rows.sum(column.data<R>(), column.size()));
  });
}

}  // namespace unha::ops
