// SPDX-License-Identifier: Apache-2.0
// Attention over chosen keys: against the formula in double; the bytes of dense attention where all keys are chosen;
// the same bytes for any chunks, threads and tiers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "ops/mla_attend.h"

namespace unha {
namespace {

constexpr MlaShape kShape = {3, 8, 4, 7, 12, 0.4};
constexpr int64_t kTokens = 200;

struct Data {
  std::vector<double> q, c, k, w;
  std::vector<int32_t> ids;  // [kTokens, topk]
  int64_t topk;

  explicit Data(int64_t keys) : topk(keys) {
    uint64_t stream = 0;
    auto fill = [&](std::vector<double>& v, int64_t count, double scale) {
      Rng rng(2, Purpose::kTest, stream++);
      for (int64_t i = 0; i < count; ++i) v.push_back(scale * rng.normal_at(static_cast<uint64_t>(i)));
    };
    const MlaShape& s = kShape;
    fill(q, kTokens * s.heads * (s.nope + s.rope), 1);
    fill(c, kTokens * s.latent, 1);
    fill(k, kTokens * s.rope, 1);
    fill(w, s.heads * (s.nope + s.v) * s.latent, 0.3);
    Rng rng(2, Purpose::kTest, stream);
    for (int64_t t = 0; t < kTokens; ++t) {
      std::vector<int32_t> all(static_cast<size_t>(t) + 1);
      for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
      while (static_cast<int64_t>(all.size()) > topk)
        all.erase(all.begin() + static_cast<int64_t>(rng.below(all.size())));
      all.resize(static_cast<size_t>(topk), -1);
      ids.insert(ids.end(), all.begin(), all.end());
    }
  }

  double key(int64_t s, int64_t i) const {  // column i of [c_kv ; k_rope]
    return i < kShape.latent ? c[static_cast<size_t>(s * kShape.latent + i)]
                             : k[static_cast<size_t>(s * kShape.rope + i - kShape.latent)];
  }

  // [H * v] of token t, expanded form.
  std::vector<double> formula(int64_t t) const {
    const MlaShape& s = kShape;
    std::vector<double> out(static_cast<size_t>(s.heads * s.v));
    for (int64_t h = 0; h < s.heads; ++h) {
      const double* head = q.data() + (t * s.heads + h) * (s.nope + s.rope);
      auto row = [&](int64_t r) { return w.data() + (h * (s.nope + s.v) + r) * s.latent; };
      auto project = [&](int64_t r, int64_t pos) {
        double sum = 0;
        for (int64_t i = 0; i < s.latent; ++i) sum += row(r)[i] * key(pos, i);
        return sum;
      };
      double total = 0;
      std::vector<double> mixed(static_cast<size_t>(s.v));
      for (int64_t rank = 0; rank < topk; ++rank) {
        int32_t pos = ids[static_cast<size_t>(t * topk + rank)];
        if (pos < 0) break;
        double score = 0;
        for (int64_t i = 0; i < s.nope; ++i) score += head[i] * project(i, pos);
        for (int64_t i = 0; i < s.rope; ++i) score += head[s.nope + i] * key(pos, s.latent + i);
        double p = std::exp(score * s.scale);
        total += p;
        for (int64_t i = 0; i < s.v; ++i) mixed[static_cast<size_t>(i)] += p * project(s.nope + i, pos);
      }
      for (int64_t i = 0; i < s.v; ++i) out[static_cast<size_t>(h * s.v + i)] = mixed[static_cast<size_t>(i)] / total;
    }
    return out;
  }
};

// chunk 0: at once, without a cache. sparse: with the ids.
template <class R>
std::vector<R> run(Data& d, Numerics numerics, Isa isa, int n_threads, int64_t chunk, bool sparse) {
  const MlaShape& s = kShape;
  Threads threads(n_threads);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  std::vector<R> q(d.q.begin(), d.q.end()), c(d.c.begin(), d.c.end()), k(d.k.begin(), d.k.end());
  std::vector<R> w(d.w.begin(), d.w.end());
  Weight weight;
  weight.value = Tensor(w.data(), ctx.real(), s.heads * (s.nope + s.v), s.latent);
  std::vector<double> memory(static_cast<size_t>((kTokens + 64) * (s.latent + s.rope)), 1e9);
  CacheRows cache{reinterpret_cast<std::byte*>(memory.data()), ctx.operand(), s.latent + s.rope, kTokens + 32};
  std::vector<R> all;
  for (int64_t begin = 0; begin < kTokens; begin += chunk == 0 ? kTokens : chunk) {
    int64_t n = chunk == 0 ? kTokens : std::min(chunk, kTokens - begin);
    Segment segment{0, n, begin};
    auto rows = [&](std::vector<R>& v, int64_t cols) { return Tensor(v.data() + begin * cols, ctx.real(), n, cols); };
    Tensor ids;
    if (sparse) ids = Tensor(d.ids.data() + begin * d.topk, DType::kI32, n, d.topk);
    Tensor y = ops::mla_attend(ctx, rows(q, s.heads * (s.nope + s.rope)), rows(c, s.latent), rows(k, s.rope), weight, s,
                               {&segment, 1}, {&cache, chunk == 0 ? size_t{0} : size_t{1}}, ids);
    all.insert(all.end(), y.data<R>(), y.data<R>() + y.size());
  }
  return all;
}

template <class R>
double worst_against_formula(Data& d, const std::vector<R>& got) {
  double worst = 0;
  size_t at = 0;
  for (int64_t t = 0; t < kTokens; ++t) {
    for (double want : d.formula(t)) worst = std::max(worst, std::fabs(want - static_cast<double>(got[at++])));
  }
  return worst;
}

TEST(SparseAttend, IsSoftmaxOverTheChosenKeys) {
  for (int64_t topk : {1, 16, 64, 100}) {  // one block of ranks, a whole one, more than one
    Data d(topk);
    EXPECT_LT(worst_against_formula(d, run<double>(d, Numerics::kF64, Isa::kScalar, 1, 0, true)), 1e-12) << topk;
    EXPECT_LT(worst_against_formula(d, run<float>(d, Numerics::kF32, best_isa(), 2, 0, true)), 2e-5) << topk;
    EXPECT_GT(worst_against_formula(d, run<float>(d, Numerics::kF32, best_isa(), 2, 0, false)), 0.1) << topk;
  }
}

TEST(SparseAttend, AllKeysGiveTheBytesOfDenseAttention) {
  Data d(kTokens);
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (int64_t chunk : {0, 1, 33}) {
      EXPECT_EQ(run<float>(d, numerics, best_isa(), 2, chunk, true), run<float>(d, numerics, best_isa(), 2, 0, false))
          << numerics_name(numerics) << " in chunks of " << chunk;
    }
  }
}

TEST(SparseAttend, ChunksThreadsAndTiersChangeNothing) {
  Data d(75);
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    std::vector<float> want = run<float>(d, numerics, Isa::kScalar, 1, 0, true);
    for (Isa isa : available_isas()) {
      for (int threads : {1, 3}) {
        for (int64_t chunk : {0, 1, 7, 64}) {
          EXPECT_EQ(run<float>(d, numerics, isa, threads, chunk, true), want)
              << numerics_name(numerics) << " on " << isa_name(isa) << ", " << threads << " threads, chunks of "
              << chunk;
        }
      }
    }
  }
}

}  // namespace
}  // namespace unha
