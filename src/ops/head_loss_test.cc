// SPDX-License-Identifier: Apache-2.0
#include "ops/head_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "ops/grad_check.h"

namespace unha {
namespace {

// The op seeds itself, so the loss of the check is sum(scale * nll) and its own weights are not used.
struct Case {
  int64_t N, D, V;
};

TEST(HeadLoss, AgreesWithAPlainSoftmaxAndWithCentralDifferences) {
  for (Case c : {Case{1, 1, 2}, Case{5, 7, 33}, Case{37, 19, 70}}) {
    Threads threads(2);
    Rng rng(3, Purpose::kTest, 0);
    std::vector<double> h(c.N * c.D), w(c.V * c.D), d_w(w.size());
    for (size_t i = 0; i < h.size(); ++i) h[i] = rng.normal_at(i);
    for (size_t i = 0; i < w.size(); ++i) w[i] = rng.normal_at(10000 + i);
    std::vector<int32_t> targets(c.N);
    std::vector<float> scales(c.N);
    for (int64_t i = 0; i < c.N; ++i) {
      targets[i] = i % 4 == 1 ? -1 : static_cast<int32_t>(rng.below(c.V));
      scales[i] = static_cast<float>(rng.uniform()) + 0.5f;
    }
    auto plain = [&] {
      double total = 0;
      for (int64_t i = 0; i < c.N; ++i) {
        if (targets[i] < 0) continue;
        double sum = 0, wanted = 0;
        for (int64_t v = 0; v < c.V; ++v) {
          double z = 0;
          for (int64_t d = 0; d < c.D; ++d) z += h[i * c.D + d] * w[v * c.D + d];
          sum += std::exp(z);
          if (v == targets[i]) wanted = z;
        }
        total += static_cast<double>(scales[i]) * (std::log(sum) - wanted);
      }
      return total;
    };
    Arena arena;
    Tape tape;
    Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
    ctx.tape = &tape;
    Weight head;
    head.value = Tensor(w.data(), DType::kF64, c.V, c.D);
    head.grad = Tensor(d_w.data(), DType::kF64, c.V, c.D);
    Tensor x = tape.track(Tensor(h.data(), DType::kF64, c.N, c.D));
    std::vector<double> d_h;
    tape.record("read", [&] { d_h.assign(tape.grad(x).data<double>(), tape.grad(x).data<double>() + h.size()); });
    auto loss = ops::head_loss(ctx, x, head, targets, scales);
    double total = 0;
    for (int64_t i = 0; i < c.N; ++i) {
      total += static_cast<double>(scales[i]) * loss.nll.data<double>()[i];
      if (targets[i] < 0) {
        EXPECT_EQ(loss.nll.data<double>()[i], 0);
      }
    }
    EXPECT_NEAR(total, plain(), 1e-10 * std::fabs(total));
    tape.backward();
    for (int n = 0; n < 64; ++n) {
      auto& values = n % 2 == 0 ? h : w;
      size_t i = rng.below(values.size());
      double x0 = values[i], step = 1e-5;
      values[i] = x0 + step;
      double up = plain();
      values[i] = x0 - step;
      double down = plain();
      values[i] = x0;
      double got = n % 2 == 0 ? d_h[i] : d_w[i];
      EXPECT_NEAR(got, (up - down) / (2 * step), 1e-6 * std::max(1.0, std::fabs(got)));
    }
  }
}

// Bytes of nll, d_h and d_head in a class on a tier.
std::vector<float> run(Numerics numerics, Isa isa, int n_threads, int64_t chunk, int64_t first_rows = 45) {
  constexpr int64_t N = 45, D = 23, V = 77;
  Threads threads(n_threads);
  Arena arena;
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  ctx.tape = &tape;
  Rng rng(4, Purpose::kTest, 0);
  std::vector<float> h(N * D), w(V * D), d_w(V * D, 0.25f), out;
  for (size_t i = 0; i < h.size(); ++i) h[i] = static_cast<float>(rng.normal_at(i));
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(rng.normal_at(10000 + i));
  std::vector<int32_t> targets(first_rows);
  for (int64_t i = 0; i < first_rows; ++i) targets[i] = i % 7 == 3 ? -1 : static_cast<int32_t>((i * 31) % V);
  Weight head;
  head.value = Tensor(w.data(), DType::kF32, V, D);
  head.grad = Tensor(d_w.data(), DType::kF32, V, D);
  Tensor x = tape.track(Tensor(h.data(), DType::kF32, first_rows, D));
  std::vector<float> d_h;
  tape.record("read", [&] { d_h.assign(tape.grad(x).data<float>(), tape.grad(x).data<float>() + x.size()); });
  auto loss = ops::head_loss(ctx, x, head, targets, {}, chunk);
  out.assign(loss.nll.data<float>(), loss.nll.data<float>() + first_rows);
  tape.backward();
  out.insert(out.end(), d_h.begin(), d_h.end());
  out.insert(out.end(), d_w.begin(), d_w.end());
  return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(HeadLoss, GivesTheSameBytesOnEveryTierForAnyThreadsAndChunks) {
  for (auto numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    auto want = run(numerics, Isa::kScalar, 1, 0);
    for (Isa isa : available_isas()) {
      for (int threads : {1, 2, 3}) EXPECT_TRUE(same(want, run(numerics, isa, threads, 0))) << isa_name(isa) << threads;
      for (int64_t chunk : {2, 8, 32, 64}) EXPECT_TRUE(same(want, run(numerics, isa, 2, chunk))) << chunk;
    }
    auto one = run(numerics, best_isa(), 1, 0, 1);  // a row does not depend on the others
    EXPECT_EQ(one[0], want[0]);
    EXPECT_EQ(std::memcmp(&one[1], &want[45], 23 * sizeof(float)), 0);
  }
}

TEST(HeadLoss, SumsRowsInLanes) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  std::vector<float> column(33, 1.0f);
  EXPECT_EQ(ops::sum_rows(ctx, Tensor(column.data(), DType::kF32, 33, 1)), 33.0);
}

}  // namespace
}  // namespace unha
