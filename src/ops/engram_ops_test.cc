// SPDX-License-Identifier: Apache-2.0
// Engram's gate and convolution: published vectors built from formulas, gradients, and equal bytes on every tier, for
// any number of threads and any cut into chunks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>

#include "base/rng.h"
#include "ops/causal_conv.h"
#include "ops/engram_gate.h"
#include "ops/grad_check.h"
#include "ops/linear.h"

namespace unha {
namespace {

// Doubles [rows, cols] filled with f(flat index), with a gradient beside them.
struct Filled {
  std::vector<double> value, grad;
  Weight weight;
  template <class F>
  Filled(int64_t rows, int64_t cols, F f) : value(static_cast<size_t>(rows * cols)), grad(value.size()) {
    for (size_t i = 0; i < value.size(); ++i) value[i] = f(static_cast<double>(i));
    weight.value = Tensor(value.data(), DType::kF64, rows, cols);
    weight.grad = Tensor(grad.data(), DType::kF64, rows, cols);
  }
  // Rows [begin, begin + n) as a weight of its own.
  Weight rows(int64_t begin, int64_t n) const {
    Weight w;
    w.value = weight.value.slice_rows(begin, n);
    w.grad = weight.grad.slice_rows(begin, n);
    return w;
  }
};

// The published example: T = 5, M = 2, d = 4, E = 6, 4 taps, dilation 3, no biases, eps 1e-6 in the gate.
struct Example {
  static constexpr int64_t T = 5, M = 2, d = 4, E = 6;
  Filled h{T, M* d, [](double i) { return std::sin(1 + i); }};
  Filled e{T, E, [](double i) { return std::cos(2 + i); }};
  Filled wk{M * d, E, [](double i) { return 0.3 * std::sin(3 + i); }};
  Filled wv{d, E, [](double i) { return 0.3 * std::cos(4 + i); }};
  Filled gh{M, d, [](double i) { return 1 + 0.1 * std::sin(5 + i); }};
  Filled gk{M, d, [](double i) { return 1 + 0.1 * std::cos(6 + i); }};
  Filled gc{M, d, [](double i) { return 1 + 0.1 * std::sin(7 + i); }};
  Filled kappa{M * d, 4, [](double i) { return 0.5 * std::cos(8 + i); }};
  Filled upstream{T, M* d, [](double i) { return std::cos(9 + i); }};
  Weight wk_rows[2] = {wk.rows(0, d), wk.rows(d, d)};
  Weight gh_rows[2] = {gh.rows(0, 1), gh.rows(1, 1)};
  Weight gk_rows[2] = {gk.rows(0, 1), gk.rows(1, 1)};
  Weight gc_rows[2] = {gc.rows(0, 1), gc.rows(1, 1)};

  std::vector<double> y, gate, d_h, d_e;
  double loss = 0;

  class Gates : public Observer {
   public:
    explicit Gates(std::vector<double>* out) : out_(out) {}
    void observe(const char*, int, const Tensor& value) override {
      for (int64_t t = 0; t < value.rows(); ++t) {
        for (int64_t m = 0; m < value.cols(); ++m) out_->push_back(value.row<double>(t)[m]);
      }
    }

   private:
    std::vector<double>* out_;
  };

  void run(bool signed_sqrt, bool conv) {
    Arena arena;
    Threads threads(2);
    Tape tape;
    Gates gates(&gate);
    Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
    ctx.tape = &tape;
    ctx.observer = &gates;
    Tensor x = tape.track(h.weight.value), rows = tape.track(e.weight.value);
    tape.record("read", [&] {
      d_h.assign(tape.grad(x).data<double>(), tape.grad(x).data<double>() + T * M * d);
      d_e.assign(tape.grad(rows).data<double>(), tape.grad(rows).data<double>() + T * E);
    });
    Tensor keys[2] = {ops::linear(ctx, rows, wk_rows[0]), ops::linear(ctx, rows, wk_rows[1])};
    Tensor value = ops::linear(ctx, rows, wv.weight);
    const Weight* gx[2] = {&gh_rows[0], &gh_rows[1]};
    const Weight* gk_at[2] = {&gk_rows[0], &gk_rows[1]};
    const Weight* gc_at[2] = {&gc_rows[0], &gc_rows[1]};
    Tensor out = ops::engram_gate(ctx, x, keys, value, gx, gk_at, {.eps = 1e-6, .signed_sqrt = signed_sqrt});
    Segment all{0, T, 0};
    if (conv) out = ops::causal_conv(ctx, out, gc_at, kappa.weight, 3, {&all, 1}, {});
    y.assign(out.data<double>(), out.data<double>() + T * M * d);
    for (size_t i = 0; i < y.size(); ++i) loss += y[i] * upstream.value[i];
    tape.record("seed", [&] {
      for (size_t i = 0; i < y.size(); ++i) tape.grad(out).data<double>()[i] += upstream.value[i];
    });
    tape.backward();
  }
};

void expect_near(const double* found, std::vector<double> expected, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance) << i;
}

TEST(EngramOps, CodeFormWithConvolutionEqualsThePublishedVector) {
  Example x;
  x.run(true, true);
  expect_near(
      x.gate.data(),
      {.77526447, .25544003, .27125967, .35076290, .29408567, .79740814, .77704826, .21266732, .48557978, .60362693},
      6e-9);
  expect_near(&x.y[4 * 8],
              {.07925033, -.16600334, -.55171360, -.28417069, -.65290237, -.69150049, -.06328539, -.24985184}, 6e-9);
  expect_near(&x.y[0], {-.29204507, .00002486, .26531446, .16913095}, 6e-9);
  EXPECT_NEAR(x.loss, .295014998766, 1e-12);
  expect_near(&x.d_e[4 * 6], {.24384348, .03657168, -.20432395, -.25736508, -.07378594, .17763165}, 6e-9);
  expect_near(&x.d_h[4 * 8], {.29341866, .34818831, .36050281, .32593168}, 6e-9);
  expect_near(&x.kappa.grad[0], {0, 0, 1.459524, 1.10704717}, 6e-9);
}

TEST(EngramOps, CodeFormWithoutConvolutionEqualsThePublishedVector) {
  Example x;
  x.run(true, false);
  expect_near(&x.y[4 * 8],
              {-.41514803, -.39463833, -.34269197, -.26344697, -.51607282, -.49057711, -.42600230, -.32749239}, 6e-9);
  EXPECT_NEAR(x.loss, 1.754642210883, 1e-12);
  expect_near(&x.d_e[4 * 6], {.24536241, .03841484, -.20385116, -.25869734, -.07569838, .17689733}, 6e-9);
  expect_near(&x.d_h[4 * 8], {.29343795, .34821119, .36052651, .32595311}, 6e-9);
}

TEST(EngramOps, PaperFormEqualsThePublishedVector) {
  Example x;
  x.run(false, true);
  expect_near(
      x.gate.data(),
      {.82249405, .24149800, .27356294, .40635096, .31719009, .86730928, .82619113, .15273925, .49916777, .54411121},
      6e-9);
  expect_near(&x.y[4 * 8],
              {.06763896, -.17704633, -.56130358, -.29154356, -.60203329, -.64313194, -.02127717, -.21754952}, 6e-9);
  EXPECT_NEAR(x.loss, .449613584138, 1e-12);
  expect_near(&x.d_e[4 * 6], {.27697077, .09713715, -.17200392, -.28300538, -.13381300, .13840644}, 6e-9);
  expect_near(&x.d_h[4 * 8], {.03388695, .04021230, .04163450, .03764188}, 6e-9);
  expect_near(&x.kappa.grad[0], {0, 0, 1.4595422, 1.10703477}, 6e-9);
}

TEST(EngramOps, GateGradientsAgreeWithCentralDifferences) {
  for (bool signed_sqrt : {false, true}) {
    for (int64_t d : {3, 20}) {
      GradCheck check(1, 1);
      check.input(6, 2 * d);
      check.input(6, d);
      check.input(6, d);
      check.input(6, d);
      size_t g[4];
      for (size_t& i : g) i = check.weight(1, d, 0.2, 1);
      check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
        Tensor keys[2] = {in[1], in[2]};
        const Weight* gx[2] = {&check.weight_at(g[0]), &check.weight_at(g[1])};
        const Weight* gk[2] = {&check.weight_at(g[2]), &check.weight_at(g[3])};
        return ops::engram_gate(ctx, in[0], keys, in[3], gx, gk, {.signed_sqrt = signed_sqrt});
      });
    }
  }
}

TEST(EngramOps, ZeroStreamGivesHalfAGateAndNoGradient) {
  Arena arena;
  Threads threads(1);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
  ctx.tape = &tape;
  Filled zero(1, 4, [](double) { return 0.0; });
  Filled key(1, 4, [](double i) { return 1 + i; });
  Filled one(1, 4, [](double) { return 1.0; });
  Tensor x = tape.track(zero.weight.value), k = tape.track(key.weight.value), v = tape.track(key.weight.value);
  double d_x = 1, d_k = 1, d_v = 0;
  tape.record("read", [&] {
    d_x = tape.grad(x).data<double>()[1];
    d_k = tape.grad(k).data<double>()[1];
    d_v = tape.grad(v).data<double>()[1];
  });
  const Weight* g[1] = {&one.weight};
  Tensor keys[1] = {k};
  Tensor u = ops::engram_gate(ctx, x, keys, v, g, g, {});
  EXPECT_EQ(u.data<double>()[1], 1.0);
  tape.record("seed", [&] { tape.grad(u).data<double>()[1] = 1; });
  tape.backward();
  EXPECT_EQ(d_x, 0);
  EXPECT_EQ(d_k, 0);
  EXPECT_EQ(d_v, 0.5);
}

TEST(EngramOps, ConvolutionGradientsAgreeWithCentralDifferences) {
  for (int64_t taps : {1, 4}) {
    GradCheck check(1, 1);
    check.input(23, 2 * 9);
    size_t a = check.weight(1, 9, 0.2, 1), b = check.weight(1, 9, 0.2, 1), kernel = check.weight(18, taps, 0.5);
    std::vector<Segment> segments = {{0, 1, 0}, {1, 14, 0}, {15, 8, 0}};
    check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
      const Weight* g[2] = {&check.weight_at(a), &check.weight_at(b)};
      return ops::causal_conv(ctx, in[0], g, check.weight_at(kernel), 3, segments, {});
    });
  }
}

std::vector<float> random_floats(int64_t n, uint64_t stream) {
  Rng rng(3, Purpose::kTest, stream);
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(rng.normal_at(i));
  return v;
}

// Gate and convolution forward and backward in f32 or bf16x2; everything that comes out, as bytes.
struct Floats {
  std::vector<float> value, grad;
  Weight weight;
  Floats(int64_t rows, int64_t cols, uint64_t stream) : value(random_floats(rows * cols, stream)), grad(value.size()) {
    weight.value = Tensor(value.data(), DType::kF32, rows, cols);
    weight.grad = Tensor(grad.data(), DType::kF32, rows, cols);
  }
};

std::vector<float> gate_and_conv(Numerics numerics, Isa isa, int n_threads, int64_t d, bool extremes) {
  constexpr int64_t N = 37, M = 2;
  Floats x(N, M * d, 1), k0(N, d, 2), k1(N, d, 3), v(N, d, 4), up(N, M * d, 5);
  Floats g0(1, d, 6), g1(1, d, 7), g2(1, d, 8), g3(1, d, 9), c0(1, d, 10), c1(1, d, 11), taps(M * d, 4, 12);
  if (extremes) {
    x.value[0] = std::numeric_limits<float>::infinity();
    x.value[static_cast<size_t>(5 * M * d)] = 1e-39f;
    k0.value[static_cast<size_t>(7 * d)] = 1e30f;
    v.value[static_cast<size_t>(9 * d)] = -0.0f;
    for (int64_t i = 0; i < M * d; ++i) x.value[static_cast<size_t>(11 * M * d + i)] = 0;
  }
  Arena arena;
  Threads threads(n_threads);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  ctx.tape = &tape;
  std::vector<float> out;
  auto take = [&](const float* data, int64_t n) { out.insert(out.end(), data, data + n); };
  Tensor in[4] = {tape.track(x.weight.value), tape.track(k0.weight.value), tape.track(k1.weight.value),
                  tape.track(v.weight.value)};
  tape.record("read", [&] {
    for (Tensor& t : in) take(tape.grad(t).data<float>(), t.size());
  });
  const Weight* gx[2] = {&g0.weight, &g1.weight};
  const Weight* gk[2] = {&g2.weight, &g3.weight};
  const Weight* gc[2] = {&c0.weight, &c1.weight};
  Tensor keys[2] = {in[1], in[2]};
  std::vector<Segment> segments = {{0, 20, 0}, {20, 17, 0}};
  Tensor u = ops::engram_gate(ctx, in[0], keys, in[3], gx, gk, {});
  Tensor y = ops::causal_conv(ctx, u, gc, taps.weight, 3, segments, {});
  take(u.data<float>(), u.size());
  take(y.data<float>(), y.size());
  tape.record("seed", [&] { std::memcpy(tape.grad(y).data<float>(), up.value.data(), up.value.size() * 4); });
  tape.backward();
  for (const Floats* f : {&g0, &g1, &g2, &g3, &c0, &c1, &taps})
    take(f->grad.data(), static_cast<int64_t>(f->grad.size()));
  return out;
}

// Bit patterns; any NaN counts as any other.
std::vector<uint32_t> bits(const std::vector<float>& values) {
  std::vector<uint32_t> result;
  for (float v : values) result.push_back(std::isnan(v) ? 0x7fc00000u : std::bit_cast<uint32_t>(v));
  return result;
}

TEST(EngramOps, EveryTierAndThreadCountGivesTheSameBytes) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (int64_t d : {1, 16, 37, 100}) {
      for (bool extremes : {false, true}) {
        auto expected = bits(gate_and_conv(numerics, Isa::kScalar, 1, d, extremes));
        for (Isa isa : available_isas()) {
          if (isa == Isa::kAmx) continue;
          EXPECT_TRUE(bits(gate_and_conv(numerics, isa, 1, d, extremes)) == expected) << isa_name(isa) << " " << d;
        }
        for (int n : {2, 3}) {
          EXPECT_TRUE(bits(gate_and_conv(numerics, Isa::kScalar, n, d, extremes)) == expected) << n << " threads";
        }
      }
    }
  }
}

TEST(CausalConv, ChunksThroughACacheGiveTheBytesOfTheWhole) {
  constexpr int64_t N = 21, C = 34;
  Floats u(N, C, 1), g(1, C, 2), taps(C, 4, 3);
  const Weight* gc[1] = {&g.weight};
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    Arena arena;
    Threads threads(2);
    Ctx ctx = make_ctx(arena, threads, numerics, best_isa());
    Segment all{0, N, 0};
    Tensor whole = ops::causal_conv(ctx, u.weight.value, gc, taps.weight, 3, {&all, 1}, {});
    for (int64_t chunk = 1; chunk <= N; ++chunk) {
      std::vector<std::byte> memory(static_cast<size_t>(N * C * 4));
      CacheRows cache{memory.data(), ctx.operand(), C, N};
      for (int64_t at = 0; at < N; at += chunk) {
        int64_t len = std::min(chunk, N - at);
        Segment part{0, len, at};
        Tensor y =
            ops::causal_conv(ctx, u.weight.value.slice_rows(at, len), gc, taps.weight, 3, {&part, 1}, {&cache, 1});
        ASSERT_EQ(std::memcmp(y.bytes(), whole.row<float>(at), static_cast<size_t>(len * C * 4)), 0)
            << "chunk " << chunk << " at " << at;
      }
    }
  }
}

}  // namespace
}  // namespace unha
