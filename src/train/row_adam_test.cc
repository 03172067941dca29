// SPDX-License-Identifier: Apache-2.0
#include "train/row_adam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.h"

namespace unha {
namespace {

constexpr int64_t kRows = 300, kWidth = 19, kTokens = 200;

struct Table {
  ParamStore params;
  Param& param;
  explicit Table(Numerics numerics)
      : param(params.add("table", {kRows, kWidth}, ParamRole::kTable, {Init::Kind::kNormal, 0.02})) {
    params.allocate(numerics, true);
    std::vector<float> initial(static_cast<size_t>(param.size()));
    ParamStore::initial_values(param, 1, initial.data());
    for (size_t i = 0; i < initial.size(); ++i) {
      if (param.weight.value.dtype() == DType::kBF16) {
        param.weight.value.data<uint16_t>()[i] = f32_to_bf16(initial[i]);
      } else {
        param.weight.value.data<float>()[i] = initial[i];
      }
    }
  }
};

double gradient_at(int64_t step, int64_t row, int64_t column) {
  Rng rng(7, Purpose::kTest, static_cast<uint64_t>(step));
  return static_cast<double>(static_cast<float>(rng.normal_at(static_cast<uint64_t>(row * kWidth + column))));
}

// One gradient for each row of `rows`; rows named twice get half of it each time.
SparseGrad gradient(Ctx& ctx, int64_t step, const std::vector<int64_t>& rows) {
  std::vector<float> values;
  for (int64_t row : rows) {
    auto times = static_cast<double>(std::count(rows.begin(), rows.end(), row));
    for (int64_t c = 0; c < kWidth; ++c) values.push_back(static_cast<float>(gradient_at(step, row, c) / times));
  }
  SparseGrad grad;
  grad.add(ctx, rows, 1, Tensor(values.data(), DType::kF32, static_cast<int64_t>(rows.size()), kWidth));
  return grad;
}

// Adam in double as the textbook has it, for one element.
struct Reference {
  double w, m = 0, v = 0;
  void step(double g, int64_t t, double rate, const RowAdamConfig& c) {
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    double m_hat = m / (1 - std::pow(c.beta1, static_cast<double>(t)));
    double v_hat = v / (1 - std::pow(c.beta2, static_cast<double>(t)));
    w -= rate * m_hat / (std::sqrt(v_hat) + c.eps);
  }
};

// Row r is touched in the steps that r + 1 divides; row 0 in all, rows with an odd number twice in a step.
std::vector<int64_t> touched(int64_t step) {
  std::vector<int64_t> rows;
  for (int64_t r = 0; r < 12; ++r) {
    if (step % (r + 1) != 0) continue;
    rows.push_back(r * 25);
    if (r % 2 == 1) rows.push_back(r * 25);
  }
  return rows;
}

TEST(RowAdam, FollowsAdamInDoubleOnTouchedRowsAndLeavesTheRestAlone) {
  Table table(Numerics::kF32);
  RowAdamConfig config;
  RowAdam adam(table.param, config);
  std::vector<float> before(adam.master().begin(), adam.master().end());
  std::vector<Reference> reference;
  for (float w : before) reference.push_back({static_cast<double>(w)});
  Arena arena;
  Threads threads(2);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  uint64_t version = table.param.weight.version;
  for (int64_t step = 1; step <= 50; ++step) {
    double rate = 0.01 / static_cast<double>(step);
    auto rows = touched(step);
    adam.step(ctx, gradient(ctx, step, rows), step, rate);
    for (int64_t r = 0; r < 12; ++r) {
      if (step % (r + 1) != 0) continue;
      for (int64_t c = 0; c < kWidth; ++c) {
        reference[static_cast<size_t>(r * 25 * kWidth + c)].step(gradient_at(step, r * 25, c), step, rate, config);
      }
    }
  }
  EXPECT_EQ(table.param.weight.version, version + 50);
  for (size_t i = 0; i < before.size(); ++i) {
    int64_t row = static_cast<int64_t>(i) / kWidth;
    if (row % 25 != 0) {
      ASSERT_EQ(adam.master()[i], before[i]);
      ASSERT_EQ(adam.second_moment()[i], 0);
    } else {
      ASSERT_NE(adam.master()[i], before[i]);
      ASSERT_NEAR(static_cast<double>(adam.master()[i]), reference[i].w,
                  1e-6 * std::max(0.02, std::fabs(reference[i].w)))
          << "row " << row;
    }
    ASSERT_EQ(table.param.weight.value.data<float>()[i], adam.master()[i]);
  }
}

TEST(RowAdam, EqualsDenseAdamUpToAPause) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  Table lazy_table(Numerics::kF32), dense_table(Numerics::kF32);
  RowAdam lazy(lazy_table.param, {}), dense(dense_table.param, {});
  // Dense Adam: every row takes part, with a zero gradient where nothing touched it. Row 0 is touched in every step,
  // row 1 from step 4 on, row 2 in steps 1 to 3 only.
  for (int64_t step = 1; step <= 8; ++step) {
    std::vector<int64_t> rows = {0};
    if (step >= 4) rows.push_back(1);
    if (step <= 3) rows.push_back(2);
    lazy.step(ctx, gradient(ctx, step, rows), step, 0.01);
    std::vector<int64_t> all = {0, 1, 2};
    std::vector<float> values(3 * kWidth);
    for (int64_t row : rows) {
      for (int64_t c = 0; c < kWidth; ++c) {
        values[static_cast<size_t>(row * kWidth + c)] = static_cast<float>(gradient_at(step, row, c));
      }
    }
    SparseGrad grad;
    grad.add(ctx, all, 1, Tensor(values.data(), DType::kF32, 3, kWidth));
    dense.step(ctx, grad, step, 0.01);
    auto equal = [&](int64_t row) {
      auto at = static_cast<size_t>(row * kWidth);
      return std::memcmp(&lazy.master()[at], &dense.master()[at], kWidth * 4) == 0;
    };
    EXPECT_TRUE(equal(0)) << step;
    EXPECT_TRUE(equal(1)) << step;
    EXPECT_EQ(equal(2), step <= 3) << step;
  }
}

std::vector<uint32_t> train(Numerics numerics, Isa isa, int n_threads) {
  Table table(numerics);
  RowAdam adam(table.param, {});
  Arena arena;
  Threads threads(n_threads);
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  for (int64_t step = 1; step <= 5; ++step) {
    std::vector<int64_t> rows;
    Rng rng(3, Purpose::kTest, static_cast<uint64_t>(step));
    for (int64_t i = 0; i < kTokens; ++i) rows.push_back(static_cast<int64_t>(rng.below(kRows)));
    adam.step(ctx, gradient(ctx, step, rows), step, 0.01, 0.75f);
  }
  std::vector<uint32_t> out;
  for (auto state : {adam.master(), adam.first_moment(), adam.second_moment()}) {
    for (float v : state) out.push_back(std::bit_cast<uint32_t>(v));
  }
  const Tensor& value = table.param.weight.value;
  for (int64_t i = 0; i < value.size(); ++i) {
    if (numerics == Numerics::kBF16x2) {
      out.push_back(value.data<uint16_t>()[i]);
      if (value.data<uint16_t>()[i] != f32_to_bf16(adam.master()[static_cast<size_t>(i)])) return {};
    } else {
      out.push_back(std::bit_cast<uint32_t>(value.data<float>()[i]));
    }
  }
  return out;
}

TEST(RowAdam, EveryTierAndThreadCountGivesTheSameBytes) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    auto expected = train(numerics, Isa::kScalar, 1);
    ASSERT_FALSE(expected.empty());
    for (Isa isa : available_isas()) {
      if (isa == Isa::kAmx) continue;
      EXPECT_TRUE(train(numerics, isa, 1) == expected) << isa_name(isa);
    }
    for (int n : {2, 3}) EXPECT_TRUE(train(numerics, best_isa(), n) == expected) << n << " threads";
  }
}

TEST(RowAdam, StateMovesToAnotherInstance) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, best_isa());
  Table whole_table(Numerics::kBF16x2), first_table(Numerics::kBF16x2), second_table(Numerics::kBF16x2);
  RowAdam whole(whole_table.param, {}), first(first_table.param, {}), second(second_table.param, {});
  for (int64_t step = 1; step <= 6; ++step) {
    whole.step(ctx, gradient(ctx, step, touched(step)), step, 0.01);
    RowAdam& part = step <= 3 ? first : second;
    if (step == 4) {
      std::ranges::copy(first.master(), second.master().begin());
      std::ranges::copy(first.first_moment(), second.first_moment().begin());
      std::ranges::copy(first.second_moment(), second.second_moment().begin());
      second.publish(ctx);
    }
    part.step(ctx, gradient(ctx, step, touched(step)), step, 0.01);
  }
  EXPECT_TRUE(std::ranges::equal(whole.master(), second.master()));
  EXPECT_EQ(
      std::memcmp(whole_table.param.weight.value.bytes(), second_table.param.weight.value.bytes(), kRows * kWidth * 2),
      0);
}

}  // namespace
}  // namespace unha
