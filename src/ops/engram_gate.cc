// SPDX-License-Identifier: Apache-2.0
#include "ops/engram_gate.h"

#include <array>

namespace unha::ops {

using kernels::GateGrads;
using kernels::GateRows;

namespace {

constexpr int64_t kTokenGrain = 16;
constexpr int64_t kColumnGrain = 32;

// Inputs and what the forward saves, by value so that the tape can keep it.
struct Gate {
  Tensor x, value, u;
  Tensor saved;  // [N, 4*M]: s, gate, 1 / RMS of x, of key
  std::array<Tensor, kMaxStreams> keys;
  std::array<const Weight*, kMaxStreams> gx, gk;
  int64_t M = 0;
  EngramGateConfig config;

  template <class R>
  GateRows<R> rows(int64_t m) const {
    int64_t d = value.cols();
    auto stream = static_cast<size_t>(m);
    GateRows<R> r{};
    r.x = x.data<R>() + m * d;
    r.key = keys[stream].data<R>();
    r.value = value.data<R>();
    r.x_stride = x.stride();
    r.key_stride = keys[stream].stride();
    r.value_stride = value.stride();
    r.gx = gx[stream]->value.data<R>();
    r.gk = gk[stream]->value.data<R>();
    r.d = d;
    r.eps = static_cast<R>(config.eps);
    r.signed_sqrt = config.signed_sqrt;
    r.s = saved.data<R>() + m;
    r.gate = r.s + M;
    r.rstd_x = r.gate + M;
    r.rstd_k = r.rstd_x + M;
    r.saved_stride = saved.stride();
    return r;
  }
};

template <class R>
void forward(Ctx& ctx, const Gate& g) {
  ctx.threads.parallel_for(g.x.rows(), kTokenGrain, [&](int64_t begin, int64_t end) {
    for (int64_t m = 0; m < g.M; ++m) {
      ctx.kernels<R>().engram.gate(g.rows<R>(m), begin, end, g.u.data<R>() + m * g.value.cols(), g.u.stride());
    }
  });
}

template <class R>
GateGrads<R> grads_of(Tape& tape, const Gate& g, int64_t m, R* t) {
  GateGrads<R> grads{};
  int64_t d = g.value.cols();
  Tensor d_u = tape.grad(g.u);
  grads.d_u = d_u.data<R>() + m * d;
  grads.d_u_stride = d_u.stride();
  auto target = [&](const Tensor& of, R** at, int64_t* stride) {
    if (of.slot() == nullptr) return;
    Tensor grad = tape.grad(of);
    *at = grad.data<R>();
    *stride = grad.stride();
  };
  target(g.x.slice_cols(m * d, d), &grads.d_x, &grads.d_x_stride);
  target(g.keys[static_cast<size_t>(m)], &grads.d_key, &grads.d_key_stride);
  target(g.value, &grads.d_value, &grads.d_value_stride);
  grads.t = t;
  return grads;
}

template <class R>
void backward(Ctx& ctx, const Gate& g) {
  if (!ctx.tape->has_grad(g.u)) return;
  int64_t N = g.x.rows(), d = g.value.cols();
  auto mark = ctx.arena.mark();
  Tensor t = ctx.scratch(ctx.real(), N, g.saved.stride());  // [N, 4*M], the first M columns used: strides as in saved
  std::array<GateGrads<R>, kMaxStreams> grads;
  for (int64_t m = 0; m < g.M; ++m) grads[static_cast<size_t>(m)] = grads_of<R>(*ctx.tape, g, m, t.data<R>() + m);
  ctx.threads.parallel_for(N, kTokenGrain, [&](int64_t begin, int64_t end) {
    for (int64_t m = 0; m < g.M; ++m) {
      ctx.kernels<R>().engram.gate_back(g.rows<R>(m), grads[static_cast<size_t>(m)], begin, end);
    }
  });
  for (int64_t m = 0; m < g.M; ++m) {
    const Weight& gx = *g.gx[static_cast<size_t>(m)];
    const Weight& gk = *g.gk[static_cast<size_t>(m)];
    R* d_gx = gx.wants_grad() ? gx.grad.data<R>() : nullptr;
    R* d_gk = gk.wants_grad() ? gk.grad.data<R>() : nullptr;
    if (d_gx == nullptr && d_gk == nullptr) continue;
    ctx.threads.parallel_for(d, kColumnGrain, [&](int64_t begin, int64_t end) {
      ctx.kernels<R>().engram.gate_weights_back(g.rows<R>(m), t.data<R>() + m, N, begin, end, d_gx, d_gk);
    });
  }
  ctx.arena.rewind(mark);
}

}  // namespace

Tensor engram_gate(Ctx& ctx, Tensor x, std::span<const Tensor> keys, Tensor value, std::span<const Weight* const> gx,
                   std::span<const Weight* const> gk, const EngramGateConfig& config) {
  Gate g;
  g.M = static_cast<int64_t>(keys.size());
  int64_t N = x.rows(), d = value.cols();
  UNHA_CHECK(g.M >= 1 && g.M <= kMaxStreams, "engram_gate: {} streams", g.M);
  UNHA_CHECK(x.cols() == g.M * d && value.rows() == N && gx.size() == keys.size() && gk.size() == keys.size(),
             "engram_gate: x [{}, {}], value [{}, {}], {} streams", N, x.cols(), value.rows(), d, g.M);
  for (size_t m = 0; m < keys.size(); ++m) {
    UNHA_CHECK(keys[m].rows() == N && keys[m].cols() == d && gx[m]->cols() == d && gk[m]->cols() == d,
               "engram_gate: key {} is [{}, {}]", m, keys[m].rows(), keys[m].cols());
    g.keys[m] = keys[m];
    g.gx[m] = gx[m];
    g.gk[m] = gk[m];
  }
  g.x = x;
  g.value = value;
  g.config = config;
  g.u = ctx.make(N, g.M * d);
  g.saved = ctx.scratch(ctx.real(), N, 4 * g.M);
  ctx.with_real([&](auto real) { forward<decltype(real)>(ctx, g); });
  ctx.observe("engram.gate", config.layer, g.saved.slice_cols(g.M, g.M));
  if (ctx.tape != nullptr) {
    ctx.tape->record("engram_gate",
                     [g, c = ctx]() mutable { c.with_real([&](auto real) { backward<decltype(real)>(c, g); }); });
  }
  return g.u;
}

}  // namespace unha::ops
