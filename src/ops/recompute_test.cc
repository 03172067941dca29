// SPDX-License-Identifier: Apache-2.0
#include "ops/recompute.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ops/add.h"
#include "ops/balance.h"
#include "ops/grad_check.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace unha {
namespace {

constexpr int64_t kRows = 33, kCols = 40;
constexpr int kLayers = 3;

struct Held {
  std::vector<float> value, grad;
  Weight weight;
};

// A stack of layers with a balance loss inside each; what one training step leaves behind.
struct Step {
  std::vector<float> bytes;  // output, gradients of the input and of all weights
  double balance = 0;
  size_t peak = 0;
  int replays = 0;
};

Step train_step(bool recompute) {
  Threads threads(2);
  Arena arena(1 << 12);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, best_isa());
  ctx.tape = &tape;
  std::vector<std::unique_ptr<Held>> held;
  auto weight = [&](int64_t rows, int64_t cols, double mean) -> Weight& {
    auto h = std::make_unique<Held>();
    Rng rng(9, Purpose::kTest, held.size());
    for (int64_t i = 0; i < rows * cols; ++i) {
      h->value.push_back(static_cast<float>(mean + 0.2 * rng.normal_at(static_cast<uint64_t>(i))));
    }
    h->grad.assign(h->value.size(), 0);
    h->weight.value = Tensor(h->value.data(), DType::kF32, rows, cols);
    h->weight.grad = Tensor(h->grad.data(), DType::kF32, rows, cols);
    held.push_back(std::move(h));
    return held.back()->weight;
  };
  std::vector<float> input(kRows * kCols);
  Rng rng(8, Purpose::kTest, 0);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(rng.normal_at(i));
  Step step;
  Tensor x0 = tape.track(Tensor(input.data(), DType::kF32, kRows, kCols));
  std::vector<float> d_x;
  tape.record("read", [&] { d_x.assign(tape.grad(x0).data<float>(), tape.grad(x0).data<float>() + x0.size()); });
  ops::RouteConfig config{8, 2, 1, 1, ops::Scoring::kSigmoid, ops::TopK::kNoAuxTc, true, 1};
  std::vector<Segment> segments = {{0, 20, 0}, {20, 13, 0}};
  Tensor x = x0;
  for (int layer = 0; layer < kLayers; ++layer) {
    Weight &norm = weight(1, kCols, 1), &up = weight(24, kCols, 0), &down = weight(kCols, 12, 0),
           &gate = weight(8, kCols, 0);
    auto body = [&](Ctx& c, Tensor in) {
      if (c.replay) ++step.replays;
      Tensor a = ops::rms_norm(c, in, norm, 1e-6);
      auto routing = ops::moe_route(c, a, gate, nullptr, config);
      double value = static_cast<double>(*ops::balance_loss(c, routing, segments, config, 0.5).data<float>());
      if (!c.replay) step.balance += value;
      Tensor gate_up = ops::linear(c, a, up);
      Tensor h = ops::swiglu(c, gate_up.slice_cols(0, 12), gate_up.slice_cols(12, 12));
      return ops::add(c, in, ops::linear(c, h, down));
    };
    x = recompute ? ops::recompute(ctx, x, body) : body(ctx, x);
    x = ops::add(ctx, x, x0);  // the input of the first layer has a later consumer, too
  }
  Tensor seed = tape.grad(x);
  for (int64_t i = 0; i < seed.size(); ++i) seed.data<float>()[i] = static_cast<float>(rng.normal_at(5000 + i));
  step.bytes.assign(x.data<float>(), x.data<float>() + x.size());
  step.peak = arena.peak_bytes();
  tape.backward();
  step.bytes.insert(step.bytes.end(), d_x.begin(), d_x.end());
  for (const auto& h : held) step.bytes.insert(step.bytes.end(), h->grad.begin(), h->grad.end());
  return step;
}

TEST(Recompute, LeavesEveryBitAsItIsWithLessMemory) {
  Step plain = train_step(false), again = train_step(true);
  ASSERT_EQ(plain.bytes.size(), again.bytes.size());
  EXPECT_EQ(std::memcmp(plain.bytes.data(), again.bytes.data(), plain.bytes.size() * sizeof(float)), 0);
  EXPECT_EQ(plain.balance, again.balance);
  EXPECT_EQ(plain.replays, 0);
  EXPECT_EQ(again.replays, kLayers);
  EXPECT_LT(again.peak, plain.peak);
}

TEST(Recompute, MayReturnItsInput) {
  GradCheck check;
  check.input(3, 5);
  check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
    return ops::recompute(ctx, in[0], [](Ctx&, Tensor x) { return x; });
  });
}

}  // namespace
}  // namespace unha
