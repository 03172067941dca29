// SPDX-License-Identifier: Apache-2.0
#include "ops/causal_conv.h"

#include <algorithm>
#include <array>

namespace unha::ops {

namespace {

constexpr int64_t kTokenGrain = 16;
constexpr int64_t kColumnGrain = 32;

// Where a token stands in its sequence. The sequence's rows of z lie one after the other by position, in its cache or,
// without one, among this call's rows.
struct Place {
  int64_t position;
  std::byte* origin;  // row of position p: origin + p * stride bytes
  int64_t left;       // rows of the same segment after this one
};

struct Conv {
  Tensor u, y;
  Tensor z;     // [N, C] of the operand type; unused with caches
  Tensor rstd;  // [N, M]
  Tensor taps;  // [w, C], transposed
  std::array<const Weight*, 16> g;
  const Weight* kernel = nullptr;
  Place* places = nullptr;       // [N]
  int64_t* positions = nullptr;  // [N], the same for the kernels
  int64_t M = 0, w = 0, dilation = 0;
  double eps = 0;

  int64_t d() const { return u.cols() / M; }
  int64_t lag(int64_t j) const { return (w - 1 - j) * dilation; }
};

template <class R>
void transpose_taps(const Tensor& kernel, const Tensor& out) {  // [C, w] -> [w, C]
  for (int64_t c = 0; c < kernel.rows(); ++c) {
    for (int64_t j = 0; j < kernel.cols(); ++j) out.row<R>(j)[c] = kernel.row<R>(c)[j];
  }
}

void place_tokens(const Conv& v, std::span<const Segment> segments, std::span<const CacheRows> caches) {
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    std::byte* origin = caches.empty() ? v.z.bytes() + s.begin * v.u.cols() * dtype_bytes(v.z.dtype()) : caches[i].rows;
    for (int64_t k = 0; k < s.len; ++k) {
      v.places[s.begin + k] = {s.pos0 + k, origin, s.len - 1 - k};
      v.positions[s.begin + k] = s.pos0 + k;
    }
  }
}

template <class R>
void norm_rows(Ctx& ctx, const Conv& v, int64_t z_row_bytes) {
  bool bf16 = ctx.operand() == DType::kBF16;
  int64_t d = v.d();
  ctx.threads.parallel_for(v.u.rows(), kTokenGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const Place& at = v.places[t];
      std::byte* z = at.origin + at.position * z_row_bytes;
      for (int64_t m = 0; m < v.M; ++m) {
        const R* g = v.g[static_cast<size_t>(m)]->value.data<R>();
        v.rstd.row<R>(t)[m] = ctx.kernels<R>().engram.norm(v.u.row<R>(t) + m * d, g, d, static_cast<R>(v.eps), bf16,
                                                           z + m * d * dtype_bytes(ctx.operand()));
      }
    }
  });
}

// The w rows that token t's taps touch; null before the start.
void tap_rows(const Conv& v, int64_t t, int64_t z_row_bytes, const void** rows) {
  const Place& at = v.places[t];
  for (int64_t j = 0; j < v.w; ++j) {
    int64_t position = at.position - v.lag(j);
    rows[j] = position < 0 ? nullptr : at.origin + position * z_row_bytes;
  }
}

template <class R>
void convolve(Ctx& ctx, const Conv& v, int64_t z_row_bytes) {
  bool bf16 = ctx.operand() == DType::kBF16;
  ctx.threads.parallel_for(v.u.rows(), kTokenGrain, [&](int64_t begin, int64_t end) {
    std::array<const void*, kMaxTaps> rows;
    for (int64_t t = begin; t < end; ++t) {
      tap_rows(v, t, z_row_bytes, rows.data());
      ctx.kernels<R>().engram.conv(rows.data(), bf16, v.taps.data<R>(), v.w, v.u.row<R>(t), v.u.cols(), v.y.row<R>(t));
    }
  });
}

// d_a from d_y, then d_z from d_a, both [N, C].
template <class R>
void rows_back(Ctx& ctx, const Conv& v, Tensor d_y, Tensor d_a, Tensor d_z) {
  bool bf16 = ctx.operand() == DType::kBF16;
  int64_t N = v.u.rows(), C = v.u.cols(), z_row_bytes = C * dtype_bytes(ctx.operand());
  ctx.threads.parallel_for(N, kTokenGrain, [&](int64_t begin, int64_t end) {
    std::array<const void*, kMaxTaps> rows;
    for (int64_t t = begin; t < end; ++t) {
      tap_rows(v, t, z_row_bytes, rows.data());
      ctx.kernels<R>().engram.conv_back(rows.data(), bf16, v.taps.data<R>(), v.w, d_y.row<R>(t), C, d_a.row<R>(t));
    }
  });
  ctx.threads.parallel_for(N, kTokenGrain, [&](int64_t begin, int64_t end) {
    std::array<const R*, kMaxTaps> rows;
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t j = 0; j < v.w; ++j) {
        rows[static_cast<size_t>(j)] = v.lag(j) > v.places[t].left ? nullptr : d_a.row<R>(t + v.lag(j));
      }
      ctx.kernels<R>().engram.conv_input_back(rows.data(), v.taps.data<R>(), v.w, C, d_z.row<R>(t));
    }
  });
}

template <class R>
void taps_back(Ctx& ctx, const Conv& v, Tensor d_a) {
  if (!v.kernel->wants_grad()) return;
  bool bf16 = ctx.operand() == DType::kBF16;
  int64_t N = v.u.rows(), C = v.u.cols();
  Tensor sums = ctx.scratch(ctx.real(), v.w, C);
  ctx.threads.parallel_for(C, kColumnGrain, [&](int64_t begin, int64_t end) {
    for (int64_t j = 0; j < v.w; ++j) {
      ctx.kernels<R>().engram.conv_tap_back(d_a.data<R>(), v.z.bytes(), bf16, C, v.positions, v.lag(j), N, begin, end,
                                            sums.row<R>(j));
      for (int64_t c = begin; c < end; ++c) {
        R* grad = v.kernel->grad.row<R>(c) + j;
        *grad = *grad + sums.row<R>(j)[c];
      }
    }
  });
}

template <class R>
void norm_weights_back(Ctx& ctx, const Conv& v, Tensor d_z) {
  int64_t d = v.d();
  for (int64_t m = 0; m < v.M; ++m) {
    const Weight& g = *v.g[static_cast<size_t>(m)];
    if (!g.wants_grad()) continue;
    ctx.threads.parallel_for(d, kColumnGrain, [&](int64_t begin, int64_t end) {
      ctx.kernels<R>().engram.norm_weight_back(v.u.data<R>() + m * d, v.u.stride(), d_z.data<R>() + m * d, d_z.stride(),
                                               v.rstd.data<R>() + m, v.M, v.u.rows(), begin, end, g.grad.data<R>());
    });
  }
}

template <class R>
void backward(Ctx& ctx, const Conv& v) {
  if (!ctx.tape->has_grad(v.y)) return;
  int64_t N = v.u.rows(), C = v.u.cols(), d = v.d();
  auto mark = ctx.arena.mark();
  Tensor d_y = ctx.tape->grad(v.y);
  Tensor d_a = ctx.scratch(ctx.real(), N, C);
  Tensor d_z = ctx.scratch(ctx.real(), N, C);
  rows_back<R>(ctx, v, d_y, d_a, d_z);
  taps_back<R>(ctx, v, d_a);
  norm_weights_back<R>(ctx, v, d_z);
  if (v.u.slot() != nullptr) {
    Tensor d_u = ctx.tape->grad(v.u);
    ctx.threads.parallel_for(N, kTokenGrain, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t m = 0; m < v.M; ++m) {
          ctx.kernels<R>().engram.norm_back(v.u.row<R>(t) + m * d, v.g[static_cast<size_t>(m)]->value.data<R>(),
                                            v.rstd.row<R>(t)[m], d_y.row<R>(t) + m * d, d_z.row<R>(t) + m * d, d,
                                            d_u.row<R>(t) + m * d);
        }
      }
    });
  }
  ctx.arena.rewind(mark);
}

void check_segments(const Ctx& ctx, const Tensor& u, std::span<const Segment> segments,
                    std::span<const CacheRows> caches) {
  UNHA_CHECK(caches.empty() || caches.size() == segments.size(), "causal_conv: {} caches for {} segments",
             caches.size(), segments.size());
  UNHA_CHECK(caches.empty() || ctx.tape == nullptr, "causal_conv: a tape and a cache at once");
  int64_t covered = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    UNHA_CHECK(s.begin == covered, "causal_conv: segment {} begins at {}, expected {}", i, s.begin, covered);
    covered += s.len;
    if (caches.empty()) {
      UNHA_CHECK(s.pos0 == 0, "causal_conv: position {} without a cache", s.pos0);
      continue;
    }
    const CacheRows& cache = caches[i];
    UNHA_CHECK(cache.rows != nullptr && cache.dtype == ctx.operand() && cache.stride == u.cols(),
               "causal_conv: cache rows of {} {}, expected {} {}", cache.stride, dtype_name(cache.dtype), u.cols(),
               dtype_name(ctx.operand()));
    UNHA_CHECK(s.pos0 + s.len <= cache.capacity, "causal_conv: positions to {} in a cache of {}", s.pos0 + s.len,
               cache.capacity);
  }
  UNHA_CHECK(covered == u.rows(), "causal_conv: segments cover {} of {} rows", covered, u.rows());
}

}  // namespace

Tensor causal_conv(Ctx& ctx, Tensor u, std::span<const Weight* const> g, const Weight& taps, int64_t dilation,
                   std::span<const Segment> segments, std::span<const CacheRows> caches, double eps) {
  Conv v;
  int64_t N = u.rows(), C = u.cols();
  v.M = static_cast<int64_t>(g.size());
  v.w = taps.cols();
  v.dilation = dilation;
  v.eps = eps;
  UNHA_CHECK(v.M >= 1 && g.size() <= v.g.size() && C % v.M == 0 && taps.rows() == C && v.w >= 1 && v.w <= kMaxTaps &&
                 dilation >= 1 && u.dense(),
             "causal_conv: u [{}, {}], {} streams, taps [{}, {}]", N, C, v.M, taps.rows(), v.w);
  check_segments(ctx, u, segments, caches);
  for (size_t m = 0; m < g.size(); ++m) {
    UNHA_CHECK(g[m]->cols() == C / v.M, "causal_conv: norm weight {} against {}", g[m]->cols(), C / v.M);
    v.g[m] = g[m];
  }
  v.kernel = &taps;
  v.u = u;
  v.y = ctx.make(N, C);
  if (caches.empty()) v.z = ctx.scratch(ctx.operand(), N, C);
  v.rstd = ctx.scratch(ctx.real(), N, v.M);
  v.taps = ctx.scratch(ctx.real(), v.w, C);
  v.places = ctx.arena.allocate<Place>(N);
  v.positions = ctx.arena.allocate<int64_t>(N);
  place_tokens(v, segments, caches);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    transpose_taps<R>(taps.value, v.taps);
    norm_rows<R>(ctx, v, C * dtype_bytes(ctx.operand()));
    convolve<R>(ctx, v, C * dtype_bytes(ctx.operand()));
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record("causal_conv",
                     [v, c = ctx]() mutable { c.with_real([&](auto real) { backward<decltype(real)>(c, v); }); });
  }
  return v.y;
}

}  // namespace unha::ops
