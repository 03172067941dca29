// SPDX-License-Identifier: Apache-2.0
#include "ops/index_select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace unha {
namespace {

// Small whole numbers, so that every class computes every score exactly, and scores tie all the time.
struct Numbers {
  int64_t n;
  IndexShape shape;
  std::vector<int> q, k, w;

  Numbers(int64_t tokens, const IndexShape& s) : n(tokens), shape(s) {
    Rng rng(1, Purpose::kTest, 0);
    auto fill = [&](std::vector<int>& v, int64_t count) {
      for (int64_t i = 0; i < count; ++i) v.push_back(static_cast<int>(rng.below(4)) - 1);
    };
    fill(q, n * s.heads * s.head_dim);
    fill(k, n * s.head_dim);
    fill(w, n * s.heads);
  }

  // By sorting all keys.
  std::vector<int32_t> choice(int64_t t) const {
    std::vector<int> scores(static_cast<size_t>(t) + 1);
    for (size_t s = 0; s < scores.size(); ++s) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        int dot = 0;
        for (int64_t i = 0; i < shape.head_dim; ++i) {
          dot += q[static_cast<size_t>((t * shape.heads + h) * shape.head_dim + i)] *
                 k[s * static_cast<size_t>(shape.head_dim) + static_cast<size_t>(i)];
        }
        scores[s] += w[static_cast<size_t>(t * shape.heads + h)] * std::max(dot, 0);
      }
    }
    std::vector<int32_t> ids(scores.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
      return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
    });
    ids.resize(std::min(ids.size(), static_cast<size_t>(shape.topk)));
    std::sort(ids.begin(), ids.end());
    ids.resize(static_cast<size_t>(shape.topk), -1);
    return ids;
  }
};

// All choices, `chunk` tokens at a time with a cache; 0: at once without one.
template <class R>
std::vector<int32_t> run(const Numbers& d, Numerics numerics, Isa isa, int n_threads, int64_t chunk) {
  Threads threads(n_threads);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  std::vector<R> q(d.q.begin(), d.q.end()), k(d.k.begin(), d.k.end()), w(d.w.begin(), d.w.end());
  auto rows = [&](std::vector<R>& v, int64_t cols, int64_t begin, int64_t n) {
    return Tensor(v.data() + begin * cols, ctx.real(), n, cols);
  };
  std::vector<double> memory(static_cast<size_t>((d.n + 64) * d.shape.head_dim), 1e9);  // what was never written
  CacheRows cache{reinterpret_cast<std::byte*>(memory.data()), ctx.operand(), d.shape.head_dim, d.n + 32};
  std::vector<int32_t> all;
  for (int64_t begin = 0; begin < d.n; begin += chunk == 0 ? d.n : chunk) {
    int64_t n = chunk == 0 ? d.n : std::min(chunk, d.n - begin);
    Segment segment{0, n, begin};
    Tensor ids = ops::index_select(ctx, rows(q, d.shape.heads * d.shape.head_dim, begin, n),
                                   rows(k, d.shape.head_dim, begin, n), rows(w, d.shape.heads, begin, n), d.shape,
                                   {&segment, 1}, {&cache, chunk == 0 ? size_t{0} : size_t{1}});
    all.insert(all.end(), ids.data<int32_t>(), ids.data<int32_t>() + ids.size());
  }
  return all;
}

TEST(IndexSelect, KeepsTheBestKeysAndOfEqualOnesTheLower) {
  for (const IndexShape& shape : {IndexShape{4, 16, 20}, IndexShape{64, 4, 70}, IndexShape{1, 64, 1}}) {
    Numbers d(150, shape);
    std::vector<int32_t> want;
    for (int64_t t = 0; t < d.n; ++t) {
      std::vector<int32_t> ids = d.choice(t);
      want.insert(want.end(), ids.begin(), ids.end());
    }
    EXPECT_EQ(run<double>(d, Numerics::kF64, Isa::kScalar, 2, 0), want);
    for (int64_t chunk : {0, 1, 7, 64, 150}) {
      for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
        for (Isa isa : available_isas()) {
          EXPECT_EQ(run<float>(d, numerics, isa, 1 + static_cast<int>(chunk % 3), chunk), want)
              << numerics_name(numerics) << " on " << isa_name(isa) << " in chunks of " << chunk;
        }
      }
    }
  }
}

TEST(IndexSelect, SegmentsDoNotSeeEachOther) {
  Numbers d(90, {4, 16, 12});
  Threads threads(2);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  std::vector<float> q(d.q.begin(), d.q.end()), k(d.k.begin(), d.k.end()), w(d.w.begin(), d.w.end());
  std::vector<Segment> segments = {{0, 50, 0}, {50, 40, 0}};
  Tensor ids = ops::index_select(ctx, Tensor(q.data(), DType::kF32, 90, 64), Tensor(k.data(), DType::kF32, 90, 16),
                                 Tensor(w.data(), DType::kF32, 90, 4), d.shape, segments, {});
  Segment alone{0, 40, 0};
  Tensor second = ops::index_select(ctx, Tensor(q.data() + 50 * 64, DType::kF32, 40, 64),
                                    Tensor(k.data() + 50 * 16, DType::kF32, 40, 16),
                                    Tensor(w.data() + 50 * 4, DType::kF32, 40, 4), d.shape, {&alone, 1}, {});
  EXPECT_TRUE(std::equal(second.data<int32_t>(), second.data<int32_t>() + second.size(), ids.row<int32_t>(50)));
}

TEST(IndexSelect, NansLoseAndNeverBreakTheOrder) {
  Numbers d(40, {4, 16, 8});
  Threads threads(1);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  std::vector<float> q(d.q.begin(), d.q.end()), k(d.k.begin(), d.k.end()), w(d.w.begin(), d.w.end());
  k[3 * 16] = std::numeric_limits<float>::quiet_NaN();
  std::fill(w.begin() + 39 * 4, w.end(), std::numeric_limits<float>::quiet_NaN());
  Segment segment{0, 40, 0};
  Tensor ids = ops::index_select(ctx, Tensor(q.data(), DType::kF32, 40, 64), Tensor(k.data(), DType::kF32, 40, 16),
                                 Tensor(w.data(), DType::kF32, 40, 4), d.shape, {&segment, 1}, {});
  for (int64_t t = 8; t < 39; ++t) {
    const int32_t* row = ids.row<int32_t>(t);
    EXPECT_EQ(std::count(row, row + 8, 3), 0) << t;
    EXPECT_TRUE(std::is_sorted(row, row + 8));
  }
  for (int32_t i = 0; i < 8; ++i) EXPECT_EQ(ids.row<int32_t>(39)[i], i);
}

}  // namespace
}  // namespace unha
