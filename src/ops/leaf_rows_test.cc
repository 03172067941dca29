// SPDX-License-Identifier: Apache-2.0
#include "ops/leaf_rows.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/rng.h"

namespace unha {
namespace {

constexpr int64_t kRows = 5000, kWidth = 19, kTokens = 301, kColumns = 3;

std::vector<int64_t> ids_with_duplicates(uint64_t stream) {
  Rng rng(1, Purpose::kTest, stream);
  std::vector<int64_t> ids(kTokens * kColumns);
  for (auto& id : ids) id = rng.below(3) == 0 ? rng.between(0, 9) : rng.between(0, kRows - 1);
  return ids;
}
std::vector<float> floats(int64_t n, uint64_t stream) {
  Rng rng(2, Purpose::kTest, stream);
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(rng.normal_at(i));
  return v;
}

TEST(LeafRows, FetchesRowsOfRealAndOfBf16Tables) {
  auto table = floats(kRows * kWidth, 1);
  std::vector<uint16_t> narrow;
  for (float v : table) narrow.push_back(f32_to_bf16(v));
  auto ids = ids_with_duplicates(1);
  Arena arena;
  Threads threads(3);
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, best_isa());
  TableRows wide(Tensor(table.data(), DType::kF32, kRows, kWidth));
  TableRows bf16(Tensor(narrow.data(), DType::kBF16, kRows, kWidth));
  Tensor a = ops::leaf_rows(ctx, wide, ids, kColumns, nullptr);
  Tensor b = ops::leaf_rows(ctx, bf16, ids, kColumns, nullptr);
  ASSERT_EQ(a.rows(), kTokens);
  ASSERT_EQ(a.cols(), kColumns * kWidth);
  for (size_t i = 0; i < ids.size(); ++i) {
    for (int64_t c = 0; c < kWidth; ++c) {
      auto at = static_cast<size_t>(ids[i] * kWidth + c);
      ASSERT_EQ(a.data<float>()[static_cast<int64_t>(i) * kWidth + c], table[at]);
      ASSERT_EQ(b.data<float>()[static_cast<int64_t>(i) * kWidth + c], bf16_to_f32(narrow[at]));
    }
  }
}

SparseGrad gradient(Threads& threads, Isa isa, uint64_t stream, std::vector<float>& seed) {
  auto table = floats(kRows * kWidth, 1);
  auto ids = ids_with_duplicates(stream);
  Arena arena;
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, isa);
  ctx.tape = &tape;
  SparseGrad grad;
  TableRows rows(Tensor(table.data(), DType::kF32, kRows, kWidth));
  Tensor e = ops::leaf_rows(ctx, rows, ids, kColumns, &grad);
  tape.record("seed", [&] { std::memcpy(tape.grad(e).bytes(), seed.data(), seed.size() * 4); });
  tape.backward();
  return grad;
}

TEST(SparseGrad, MergesDuplicatesInOrderOfTokenAndColumn) {
  auto seed = floats(kTokens * kColumns * kWidth, 3);
  auto ids = ids_with_duplicates(1);
  std::map<int64_t, std::vector<float>> expected;
  for (size_t i = 0; i < ids.size(); ++i) {
    auto& sum = expected.try_emplace(ids[i], static_cast<size_t>(kWidth), 0.0f).first->second;
    for (size_t c = 0; c < kWidth; ++c) sum[c] = sum[c] + seed[i * kWidth + c];
  }
  for (Isa isa : available_isas()) {
    if (isa == Isa::kAmx) continue;
    for (int n : {1, 2, 3}) {
      Threads threads(n);
      SparseGrad grad = gradient(threads, isa, 1, seed);
      ASSERT_EQ(grad.rows().size(), expected.size());
      size_t i = 0;
      for (const auto& [row, sum] : expected) {
        ASSERT_EQ(grad.rows()[i], row);
        ASSERT_EQ(std::memcmp(grad.values().row<float>(static_cast<int64_t>(i)), sum.data(), kWidth * 4), 0) << row;
        ++i;
      }
    }
  }
}

TEST(SparseGrad, AddsWholePassesRowByRow) {
  Threads threads(2);
  auto seed_a = floats(kTokens * kColumns * kWidth, 3), seed_b = floats(kTokens * kColumns * kWidth, 4);
  SparseGrad a = gradient(threads, best_isa(), 1, seed_a), b = gradient(threads, best_isa(), 2, seed_b);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  SparseGrad sum;
  sum.add(ctx, a);
  sum.add(ctx, b);
  std::map<int64_t, std::array<float, kWidth>> expected;
  for (const SparseGrad* g : {&a, &b}) {
    for (size_t i = 0; i < g->rows().size(); ++i) {
      auto& total = expected[g->rows()[i]];
      for (size_t c = 0; c < kWidth; ++c) total[c] += g->values().row<float>(static_cast<int64_t>(i))[c];
    }
  }
  ASSERT_EQ(sum.rows().size(), expected.size());
  size_t i = 0;
  for (const auto& [row, total] : expected) {
    ASSERT_EQ(sum.rows()[i], row);
    for (size_t c = 0; c < kWidth; ++c) ASSERT_EQ(sum.values().row<float>(static_cast<int64_t>(i))[c], total[c]);
    ++i;
  }
  sum.clear();
  EXPECT_TRUE(sum.empty());
  EXPECT_TRUE(sum.values().empty());
}

}  // namespace
}  // namespace unha
