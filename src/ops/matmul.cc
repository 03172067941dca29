// SPDX-License-Identifier: Apache-2.0
// Drivers. By rows: panels of B are packed whole, a worker packs some rows of A and multiplies them with every
// panel. By blocks of k: for weight gradients, where K is the number of tokens and A runs across its rows; a stretch of
// k of both operands is packed, then output tiles continue their chains over it. By columns: for weights whose panels
// are not kept; all of A is packed, a worker widens some panels and multiplies all of A with them.
//
// Cuts depend on shapes and threads alone and never show: every output is one chain over k.
#include "ops/matmul.h"

#include <algorithm>
#include <atomic>

#include "ops/panels.h"
#include "ops/thread_scratch.h"

namespace unha::ops {

using kernels::Accumulate;
using kernels::GemmKernels;
using kernels::kPanel;

namespace {

constexpr int64_t kSerialWork = 400'000;      // multiply-adds that are not worth waking a thread
constexpr int64_t kSerialPack = 1 << 16;      // elements, likewise
constexpr int64_t kRowTile = 96;              // rows of A that stay in L2 while panels pass
constexpr int64_t kFewRows = 32;              // per thread; below, threads share the columns instead
constexpr int64_t kKBlock = 512;              // a block of a panel stays in L1
constexpr int64_t kLongK = 2048;              // beyond, operands are packed by stretches of k
constexpr int64_t kStretchBytes = 2 << 20;    // of both packed operands
constexpr int64_t kRowTileBytes = 512 << 10;  // of packed A

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One product, cut up for the workers.
template <class R>
struct Product {
  Ctx& ctx;
  const GemmKernels<R>& gemm;
  Operand a;
  int64_t M, N, K;
  Tensor c;
  Accumulate mode;

  int64_t panels() const { return divide_up(N, kPanel); }
  int64_t workers() const { return M * N * K <= kSerialWork ? 1 : static_cast<int64_t>(ctx.threads.count()); }
};

template <class R>
void pack_rows(const GemmKernels<R>& gemm, const Operand& a, int64_t m0, int64_t m1, int64_t k0, int64_t k1,
               std::byte* dst, int64_t lda) {
  int64_t first = m0 * a.row_stride + k0 * a.col_stride;
  if (a.dtype == DType::kBF16) {
    gemm.pack_a_bf16(static_cast<const uint16_t*>(a.data) + first, a.row_stride, a.col_stride, m1 - m0, k1 - k0, dst,
                     lda);
  } else {
    gemm.pack_a(static_cast<const R*>(a.data) + first, a.row_stride, a.col_stride, m1 - m0, k1 - k0, dst, lda);
  }
}

// Panels [p0, p1) of the rows [k0, k1) of B.
template <class R>
void pack_panels(const GemmKernels<R>& gemm, const Operand& b, int64_t N, int64_t p0, int64_t p1, int64_t k0,
                 int64_t k1, std::byte* dst) {
  int64_t n0 = p0 * kPanel;
  int64_t n = std::min(N, p1 * kPanel) - n0;
  int64_t first = k0 * b.row_stride + n0 * b.col_stride;
  if (b.dtype == DType::kBF16) {
    gemm.pack_b_bf16(static_cast<const uint16_t*>(b.data) + first, b.row_stride, b.col_stride, k1 - k0, n, dst);
  } else {
    gemm.pack_b(static_cast<const R*>(b.data) + first, b.row_stride, b.col_stride, k1 - k0, n, dst);
  }
}

template <class R>
void pack_all_panels(Ctx& ctx, const Operand& b, int64_t K, int64_t N, std::byte* dst) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  int64_t panels = divide_up(N, kPanel);
  int64_t grain =
      K * N <= kSerialPack ? panels : std::max<int64_t>(1, kSerialPack / 4 / std::max<int64_t>(1, K * kPanel));
  ctx.threads.parallel_for(panels, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    pack_panels(gemm, b, N, begin, end, 0, K, dst + begin * gemm.panel_bytes(K));
  });
}

// Rows of A as the kernels take them: in place if they are so already, else through a packed copy.
template <class R>
struct Rows {
  const std::byte* data = nullptr;  // of all M rows, if in place
  int64_t lda = 0;
};
template <class R>
Rows<R> rows_of(const Product<R>& p) {
  DType wanted = p.gemm.element_bytes == 2 ? DType::kBF16 : p.ctx.real();
  bool even = p.a.row_stride % p.gemm.k_unit == 0 && p.K % p.gemm.k_unit == 0;
  bool crowded = p.M > 8 && p.a.row_stride * p.gemm.element_bytes % 4096 == 0;  // all rows in one set of L1
  if (p.a.dtype == wanted && p.a.col_stride == 1 && even && !crowded) {
    return {static_cast<const std::byte*>(p.a.data), p.a.row_stride};
  }
  int64_t lda = p.gemm.padded_k(p.K);
  if (lda * p.gemm.element_bytes % 1024 == 0 && lda * p.gemm.element_bytes > 1024) lda += 32;
  return {nullptr, lda};
}

// f(worker, task) for every task, on up to `workers` threads; a worker has one task at a time.
template <class F>
void share(Ctx& ctx, int64_t workers, int64_t tasks, const F& f) {
  workers = std::min(workers, tasks);
  std::atomic<int64_t> next{0};
  ctx.threads.parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      for (int64_t task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) f(worker, task);
    }
  });
}

// Few rows: all of A once, threads share the panels.
template <class R>
void multiply_few_rows(const Product<R>& p, const std::byte* panels) {
  Rows<R> rows = rows_of(p);
  if (rows.data == nullptr) {
    auto* packed = p.ctx.arena.template allocate<std::byte>(p.M * rows.lda * p.gemm.element_bytes);
    pack_rows(p.gemm, p.a, 0, p.M, 0, p.K, packed, rows.lda);
    rows.data = packed;
  }
  int64_t workers = p.workers();
  int64_t grain = workers == 1 ? p.panels() : divide_up(divide_up(p.panels(), 4 * workers), 4) * 4;
  p.ctx.threads.parallel_for(p.panels(), grain, [&](int64_t begin, int64_t end) {
    int64_t n0 = begin * kPanel;
    p.gemm.multiply(rows.data, rows.lda, panels + begin * p.gemm.panel_bytes(p.K), p.M,
                    std::min(p.N, end * kPanel) - n0, p.K, p.c.template row<R>(0) + n0, p.c.stride(), p.mode);
  });
}

template <class R>
void multiply_many_rows(const Product<R>& p, const std::byte* panels) {
  Rows<R> rows = rows_of(p);
  int64_t row_bytes = rows.lda * p.gemm.element_bytes;
  int64_t workers = p.workers();
  int64_t limit = std::clamp<int64_t>(kRowTileBytes / row_bytes, 24, kRowTile);
  int64_t tiles = divide_up(divide_up(p.M, limit), workers) * workers;
  int64_t height = divide_up(p.M, tiles);
  tiles = divide_up(p.M, height);
  auto* packed =
      rows.data != nullptr ? nullptr : p.ctx.arena.template allocate<std::byte>(workers * height * row_bytes);
  share(p.ctx, workers, tiles, [&](int64_t worker, int64_t tile) {
    int64_t m0 = tile * height;
    int64_t m1 = std::min(p.M, m0 + height);
    const std::byte* a = rows.data + m0 * row_bytes;
    if (rows.data == nullptr) {
      pack_rows(p.gemm, p.a, m0, m1, 0, p.K, packed + worker * height * row_bytes, rows.lda);
      a = packed + worker * height * row_bytes;
    }
    p.gemm.multiply(a, rows.lda, panels, m1 - m0, p.N, p.K, p.c.template row<R>(m0), p.c.stride(), p.mode);
  });
}

template <class R>
void multiply_by_rows(const Product<R>& p, const std::byte* panels) {
  auto mark = p.ctx.arena.mark();
  if (p.M < kFewRows * p.workers()) {
    multiply_few_rows(p, panels);
  } else {
    multiply_many_rows(p, panels);
  }
  p.ctx.arena.rewind(mark);
}

template <class R>
void multiply_by_columns(const Product<R>& p, const Weight& w) {
  auto mark = p.ctx.arena.mark();
  Rows<R> rows = rows_of(p);
  // Widening a panel costs as much as a few rows of A.
  int64_t workers = (p.M + 8) * p.N * p.K <= kSerialWork ? 1 : static_cast<int64_t>(p.ctx.threads.count());
  if (rows.data == nullptr) {
    int64_t row_bytes = rows.lda * p.gemm.element_bytes;
    auto* packed = p.ctx.arena.template allocate<std::byte>(p.M * row_bytes);
    p.ctx.threads.parallel_for(p.M, std::max<int64_t>(1, kSerialPack / 4 / rows.lda), [&](int64_t begin, int64_t end) {
      pack_rows(p.gemm, p.a, begin, end, 0, p.K, packed + begin * row_bytes, rows.lda);
    });
    rows.data = packed;
  }
  ThreadScratch scratch(p.ctx, panel_scratch_bytes(p.gemm));
  int64_t grain = workers == 1 ? p.panels() : std::clamp<int64_t>(p.panels() / (4 * workers), 1, 4);
  p.ctx.threads.parallel_for(p.panels(), grain, [&](int64_t begin, int64_t end) {
    ThreadScratch::Lease lease(scratch);
    int64_t n0 = begin * kPanel, n1 = std::min(p.N, end * kPanel);
    multiply_columns(p.ctx, rows.data, rows.lda, w, n0, n1, p.M, p.c.template row<R>(0) + n0, p.c.stride(),
                     lease.take(panel_scratch_bytes(p.gemm)));
  });
  p.ctx.arena.rewind(mark);
}

// A stretch of k: `blocks` blocks of up to kKBlock values, each packed for itself.
template <class R>
struct Stretch {
  int64_t begin, end, blocks;
  std::byte *a, *b;  // of block i: at i * M * kKBlock, i * panels * kPanel * kKBlock elements
  R* chain;          // where the chains of the outputs live between blocks: C, or beside it
  int64_t chain_stride;

  int64_t block_begin(int64_t i) const { return begin + i * kKBlock; }
  int64_t block_end(int64_t i) const { return std::min(end, begin + (i + 1) * kKBlock); }
};

template <class R>
void pack_stretch(const Product<R>& p, const Operand& b, const Stretch<R>& s) {
  constexpr int64_t kRowChunk = 512, kPanelChunk = 16;
  int64_t a_tasks = divide_up(p.M, kRowChunk);
  int64_t tasks = a_tasks + divide_up(p.panels(), kPanelChunk);
  int64_t bytes = p.gemm.element_bytes;
  share(p.ctx, p.workers(), tasks * s.blocks, [&](int64_t, int64_t task) {
    int64_t block = task / tasks, part = task % tasks;
    int64_t k0 = s.block_begin(block), k1 = s.block_end(block);
    if (part < a_tasks) {
      int64_t m0 = part * kRowChunk, m1 = std::min(p.M, m0 + kRowChunk);
      pack_rows(p.gemm, p.a, m0, m1, k0, k1, s.a + (block * p.M + m0) * kKBlock * bytes, kKBlock);
    } else {
      int64_t p0 = (part - a_tasks) * kPanelChunk, p1 = std::min(p.panels(), p0 + kPanelChunk);
      pack_panels(p.gemm, b, p.N, p0, p1, k0, k1,
                  s.b + block * p.panels() * kPanel * kKBlock * bytes + p0 * p.gemm.panel_bytes(k1 - k0));
    }
  });
}

template <class R>
void multiply_stretch(const Product<R>& p, const Stretch<R>& s) {
  int64_t bytes = p.gemm.element_bytes;
  int64_t row_tiles = divide_up(p.M, kRowTile);
  int64_t height = divide_up(p.M, row_tiles);
  int64_t panel_tiles = std::min(p.panels(), divide_up(4 * p.workers(), row_tiles));
  int64_t width = divide_up(p.panels(), panel_tiles);
  panel_tiles = divide_up(p.panels(), width);
  bool beside = s.chain != p.c.template data<R>();
  share(p.ctx, p.workers(), row_tiles * panel_tiles, [&](int64_t, int64_t task) {
    int64_t m0 = task / panel_tiles * height, m1 = std::min(p.M, m0 + height);
    int64_t p0 = task % panel_tiles * width;
    int64_t n0 = p0 * kPanel, n1 = std::min(p.N, n0 + width * kPanel);
    R* chain = s.chain + m0 * s.chain_stride + n0;
    for (int64_t block = 0; block < s.blocks; ++block) {
      int64_t k = s.block_end(block) - s.block_begin(block);
      bool first = s.begin == 0 && block == 0;
      Accumulate mode = !first ? Accumulate::kContinue : beside ? Accumulate::kSet : p.mode;
      p.gemm.multiply(s.a + (block * p.M + m0) * kKBlock * bytes, kKBlock,
                      s.b + block * p.panels() * kPanel * kKBlock * bytes + p0 * p.gemm.panel_bytes(k), m1 - m0,
                      n1 - n0, k, chain, s.chain_stride, mode);
    }
    for (int64_t m = m0; m < m1 && beside && s.end == p.K; ++m) {
      R* out = p.c.template row<R>(m) + n0;
      const R* sum = s.chain + m * s.chain_stride + n0;
      for (int64_t j = 0; j < n1 - n0; ++j) out[j] = out[j] + sum[j];
    }
  });
}

template <class R>
void multiply_by_blocks(const Product<R>& p, const Operand& b) {
  auto mark = p.ctx.arena.mark();
  int64_t columns = p.panels() * kPanel;
  int64_t bytes = p.gemm.element_bytes;
  int64_t blocks = std::max<int64_t>(1, kStretchBytes / ((p.M + columns) * kKBlock * bytes));
  blocks = std::min(blocks, divide_up(p.K, kKBlock));
  Stretch<R> s{};
  s.a = p.ctx.arena.template allocate<std::byte>(blocks * p.M * kKBlock * bytes);
  s.b = p.ctx.arena.template allocate<std::byte>(blocks * columns * kKBlock * bytes);
  s.chain = p.c.template data<R>();
  s.chain_stride = p.c.stride();
  if (p.mode == Accumulate::kAdd && p.K > kKBlock) {
    s.chain = p.ctx.arena.template allocate<R>(p.M * columns);
    s.chain_stride = columns;
  }
  for (s.begin = 0; s.begin < p.K; s.begin = s.end) {
    s.end = std::min(p.K, s.begin + blocks * kKBlock);
    s.blocks = divide_up(s.end - s.begin, kKBlock);
    pack_stretch(p, b, s);
    multiply_stretch(p, s);
  }
  p.ctx.arena.rewind(mark);
}

template <class R>
Product<R> product(Ctx& ctx, const Operand& a, int64_t M, int64_t N, int64_t K, Tensor c, Accumulate mode) {
  return {ctx, ctx.kernels<R>().gemm(ctx.numerics), a, M, N, K, c, mode};
}

}  // namespace

void matmul(Ctx& ctx, const Operand& a, const Operand& b, int64_t M, int64_t N, int64_t K, Tensor c, Accumulate mode) {
  if (M == 0 || N == 0) return;
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    auto p = product<R>(ctx, a, M, N, K, c, mode);
    if (K > 0 && (a.col_stride != 1 || K > kLongK)) return multiply_by_blocks(p, b);
    auto mark = ctx.arena.mark();
    auto* panels = ctx.arena.allocate<std::byte>(p.gemm.b_bytes(K, N));
    pack_all_panels<R>(ctx, b, K, N, panels);
    multiply_by_rows(p, panels);
    ctx.arena.rewind(mark);
  });
}

const std::byte* packed_panels(Ctx& ctx, const Weight& w) {
  PackedForm& form = w.forms[0];
  if (form.version != w.version) {
    ctx.with_real([&](auto real) {
      using R = decltype(real);
      const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
      std::byte* dst = form.resize(static_cast<size_t>(gemm.b_bytes(w.cols(), w.rows())));
      pack_all_panels<R>(ctx, Operand::transposed(w.value), w.cols(), w.rows(), dst);
    });
    form.version = w.version;
  }
  return form.data;
}

void matmul_packed(Ctx& ctx, const Operand& a, const std::byte* panels, int64_t M, int64_t N, int64_t K, Tensor c,
                   Accumulate mode) {
  if (M == 0 || N == 0) return;
  ctx.with_real([&](auto real) { multiply_by_rows(product<decltype(real)>(ctx, a, M, N, K, c, mode), panels); });
}

void matmul_weight(Ctx& ctx, const Operand& a, const Weight& w, int64_t M, Tensor c) {
  int64_t N = w.rows(), K = w.cols();
  if (M == 0 || N == 0) return;
  if (keeps_panels(ctx, w)) return matmul_packed(ctx, a, packed_panels(ctx, w), M, N, K, c, Accumulate::kSet);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    multiply_by_columns(product<R>(ctx, a, M, N, K, c, Accumulate::kSet), w);
  });
}

}  // namespace unha::ops
