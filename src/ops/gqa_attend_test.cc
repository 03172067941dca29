// SPDX-License-Identifier: Apache-2.0
#include "ops/gqa_attend.h"

#include <gtest/gtest.h>

#include "ops/grad_check.h"

namespace unha {
namespace {

constexpr GqaShape kOdd = {6, 2, 10, 0.3};   // three query heads on each of two
constexpr GqaShape kWide = {4, 1, 34, 0.2};  // one KV head; rows are no whole vectors
constexpr GqaShape kEach = {3, 3, 16, 0.25};
constexpr GqaShape kShapes[] = {kOdd, kWide, kEach};

// Inputs of one call in double.
struct Data {
  int64_t N;
  GqaShape shape;
  std::vector<double> q, k, v;

  Data(int64_t n, const GqaShape& s, uint64_t seed = 1) : N(n), shape(s) {
    uint64_t stream = 0;
    auto fill = [&](std::vector<double>& to, int64_t count) {
      Rng rng(seed, Purpose::kTest, stream++);
      to.resize(static_cast<size_t>(count));
      for (size_t i = 0; i < to.size(); ++i) to[i] = rng.normal_at(i);
    };
    fill(q, n * s.heads * s.head_dim);
    fill(k, n * s.kv_width());
    fill(v, n * s.kv_width());
  }
};

// Runs gqa_attend on rows of a Data under one (class, tier, threads).
template <class R>
class Runner {
 public:
  Runner(const Data& data, Numerics numerics, Isa isa, int threads)
      : data_(data),
        q_(data.q.begin(), data.q.end()),
        k_(data.k.begin(), data.k.end()),
        v_(data.v.begin(), data.v.end()),
        threads_(threads),
        ctx_(make_ctx(arena_, threads_, numerics, isa)) {}
  Tensor q(int64_t begin, int64_t n) { return rows(q_, begin, n, data_.shape.heads * data_.shape.head_dim); }
  Tensor k(int64_t begin, int64_t n) { return rows(k_, begin, n, data_.shape.kv_width()); }
  Tensor v(int64_t begin, int64_t n) { return rows(v_, begin, n, data_.shape.kv_width()); }
  Ctx& ctx() { return ctx_; }

  // Rows [begin, begin + n) of the data as a call.
  std::vector<R> run(int64_t begin, int64_t n, std::vector<Segment> segments, std::vector<CacheRows> caches = {}) {
    auto mark = arena_.mark();
    Tensor y = ops::gqa_attend(ctx_, q(begin, n), k(begin, n), v(begin, n), data_.shape, segments, caches);
    std::vector<R> out(y.data<R>(), y.data<R>() + y.size());
    arena_.rewind(mark);
    return out;
  }

 private:
  Tensor rows(std::vector<R>& from, int64_t begin, int64_t n, int64_t cols) {
    return {from.data() + begin * cols, ctx_.real(), n, cols};
  }
  const Data& data_;
  std::vector<R> q_, k_, v_;
  Arena arena_;
  Threads threads_;
  Ctx ctx_;
};

// A cache of one layer, every byte of it 0xff (NaN in every type) until written.
struct Cache {
  std::vector<std::byte> memory;
  CacheRows rows;
  Cache(int64_t capacity, int64_t stride, DType dtype)
      : memory(static_cast<size_t>(capacity * stride * dtype_bytes(dtype)), std::byte{0xff}) {
    rows = {memory.data(), dtype, stride, capacity};
  }
};

// As plainly as it can be said.
std::vector<double> plain(const Data& d, const std::vector<Segment>& segments) {
  const GqaShape& s = d.shape;
  int64_t width = s.head_dim;
  std::vector<double> out(d.q.size());
  for (const Segment& segment : segments) {
    for (int64_t t = 0; t < segment.len; ++t) {
      for (int64_t h = 0; h < s.heads; ++h) {
        int64_t kv = h / (s.heads / s.kv_heads), at = ((segment.begin + t) * s.heads + h) * width;
        auto row = [&](const std::vector<double>& x, int64_t j) {
          return x.data() + ((segment.begin + j) * s.kv_heads + kv) * width;
        };
        std::vector<double> p(static_cast<size_t>(t + 1));
        double highest = -1e300, sum = 0;
        for (int64_t j = 0; j <= t; ++j) {
          double score = 0;
          for (int64_t i = 0; i < width; ++i) score += d.q[static_cast<size_t>(at + i)] * row(d.k, j)[i];
          p[static_cast<size_t>(j)] = score * s.scale;
          highest = std::max(highest, score * s.scale);
        }
        for (double& x : p) sum += x = std::exp(x - highest);
        for (int64_t j = 0; j <= t; ++j) {
          for (int64_t i = 0; i < width; ++i) {
            out[static_cast<size_t>(at + i)] += p[static_cast<size_t>(j)] / sum * row(d.v, j)[i];
          }
        }
      }
    }
  }
  return out;
}

template <class R>
double worst(const std::vector<R>& a, const std::vector<double>& b) {
  double result = 0;
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) result = std::max(result, std::fabs(static_cast<double>(a[i]) - b[i]));
  return result;
}

TEST(GqaAttend, EqualsThePlainTwin) {
  for (const GqaShape& shape : kShapes) {
    Data data(150, shape);
    std::vector<Segment> segments = {{0, 1, 0}, {1, 66, 0}, {67, 83, 0}};
    auto reference = plain(data, segments);
    EXPECT_LT(worst(Runner<double>(data, Numerics::kF64, Isa::kScalar, 2).run(0, 150, segments), reference), 1e-12);
    EXPECT_LT(worst(Runner<float>(data, Numerics::kF32, best_isa(), 2).run(0, 150, segments), reference), 1e-5);
    EXPECT_LT(worst(Runner<float>(data, Numerics::kBF16x2, best_isa(), 2).run(0, 150, segments), reference), 0.05);
  }
}

TEST(GqaAttend, GradientsAgreeWithCentralDifferences) {
  struct Case {
    GqaShape shape;
    std::vector<Segment> segments;
  };
  const Case cases[] = {{kOdd, {{0, 2, 0}, {2, 5, 0}, {7, 1, 0}}},
                        {{2, 1, 4, 0.5}, {{0, 67, 0}}},
                        {{130, 1, 2, 0.5}, {{0, 5, 0}}},
                        {kEach, {{0, 6, 0}}}};
  for (const auto& [s, segments] : cases) {
    int64_t N = segments.back().begin + segments.back().len;
    GradCheck check(1, N > 10 ? 2 : 1);
    check.input(N, s.heads * s.head_dim);
    check.input(N, s.kv_width());
    check.input(N, s.kv_width());
    check.run(
        [&, shape = s, list = segments](Ctx& ctx, const std::vector<Tensor>& in) {
          return ops::gqa_attend(ctx, in[0], in[1], in[2], shape, list, {});
        },
        1e-6, N > 10 ? 6 : 24);
  }
}

struct Gradients {
  std::vector<float> q, k, v;
  bool operator==(const Gradients&) const = default;
};

// Gradients of sum(f * y) with fixed random f.
Gradients gradients(const Data& data, Numerics numerics, Isa isa, int threads, const std::vector<Segment>& segments) {
  Runner<float> runner(data, numerics, isa, threads);
  Tape tape;
  runner.ctx().tape = &tape;
  Gradients g;
  Tensor q = tape.track(runner.q(0, data.N)), k = tape.track(runner.k(0, data.N)), v = tape.track(runner.v(0, data.N));
  tape.record("read", [&] {
    for (auto [from, to] : {std::pair{q, &g.q}, std::pair{k, &g.k}, std::pair{v, &g.v}}) {
      Tensor d = tape.grad(from);
      to->assign(d.data<float>(), d.data<float>() + d.size());
    }
  });
  Tensor y = ops::gqa_attend(runner.ctx(), q, k, v, data.shape, segments, {});
  tape.record("seed", [&] {
    Rng rng(9, Purpose::kTest, 0);
    Tensor d = tape.grad(y);
    for (int64_t i = 0; i < d.size(); ++i) {
      d.data<float>()[i] = static_cast<float>(rng.normal_at(static_cast<uint64_t>(i)));
    }
  });
  tape.backward();
  return g;
}

struct Class {
  Numerics numerics;
  DType operand;
};
constexpr Class kClasses[] = {{Numerics::kF32, DType::kF32}, {Numerics::kBF16x2, DType::kBF16}};

TEST(GqaAttend, ChunksCachesThreadsAndTiersDoNotShow) {
  constexpr int64_t kN = 150;
  for (const GqaShape& shape : kShapes) {
    Data data(kN, shape);
    for (const Class& c : kClasses) {
      auto expected = Runner<float>(data, c.numerics, Isa::kScalar, 1).run(0, kN, {{0, kN, 0}});
      for (Isa isa : available_isas()) {
        for (int threads : {1, 3}) {
          Runner<float> runner(data, c.numerics, isa, threads);
          ASSERT_EQ(runner.run(0, kN, {{0, kN, 0}}), expected) << "training";
          for (int64_t chunk : {int64_t{1}, int64_t{7}, int64_t{64}, kN}) {
            Cache cache(kN + 3, 2 * shape.kv_width() + 2, c.operand);
            std::vector<float> got;
            for (int64_t pos = 0; pos < kN; pos += chunk) {
              int64_t n = std::min(chunk, kN - pos);
              auto part = runner.run(pos, n, {{0, n, pos}}, {cache.rows});
              got.insert(got.end(), part.begin(), part.end());
            }
            ASSERT_EQ(got, expected) << numerics_name(c.numerics) << " " << isa_name(isa) << " threads " << threads
                                     << " chunk " << chunk;
          }
        }
      }
    }
  }
}

TEST(GqaAttend, StrangersAndForgottenRowsDoNotShow) {
  Data data(80, kOdd);
  for (const Class& c : kClasses) {
    Runner<float> runner(data, c.numerics, best_isa(), 2);
    auto make = [&] { return Cache(128, 2 * kOdd.kv_width(), c.operand); };
    Cache alone = make(), dirty = make(), other = make();
    runner.run(0, 70, {{0, 70, 0}}, {alone.rows});
    runner.run(0, 70, {{0, 70, 0}}, {dirty.rows});
    runner.run(75, 5, {{0, 5, 70}}, {dirty.rows});  // drafts, forgotten
    auto expected = runner.run(70, 2, {{0, 2, 70}}, {alone.rows});
    EXPECT_EQ(runner.run(70, 2, {{0, 2, 70}}, {dirty.rows}), expected);
    auto both = runner.run(70, 9, {{0, 2, 70}, {2, 7, 0}}, {dirty.rows, other.rows});
    EXPECT_EQ(std::vector<float>(both.begin(), both.begin() + static_cast<int64_t>(expected.size())), expected);
  }
}

TEST(GqaAttend, GradientsAreTheSameOnAllThreadsAndTiers) {
  for (const GqaShape& shape : kShapes) {
    Data data(140, shape);
    for (const std::vector<Segment>& segments :
         {std::vector<Segment>{{0, 140, 0}}, std::vector<Segment>{{0, 3, 0}, {3, 70, 0}, {73, 67, 0}}}) {
      for (const Class& c : kClasses) {
        Gradients expected = gradients(data, c.numerics, Isa::kScalar, 1, segments);
        for (Isa isa : available_isas()) {
          for (int threads : {1, 3}) {
            ASSERT_TRUE(gradients(data, c.numerics, isa, threads, segments) == expected) << isa_name(isa) << threads;
          }
        }
      }
    }
  }
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

TEST(GqaAttend, GradientsInBf16PointWhereThoseInF32Point) {
  for (const GqaShape& shape : kShapes) {
    Data data(200, shape);
    std::vector<Segment> segments = {{0, 130, 0}, {130, 70, 0}};
    Gradients f32 = gradients(data, Numerics::kF32, best_isa(), 2, segments);
    Gradients bf16 = gradients(data, Numerics::kBF16x2, best_isa(), 2, segments);
    EXPECT_GT(cosine(f32.q, bf16.q), 0.999);
    EXPECT_GT(cosine(f32.k, bf16.k), 0.999);
    EXPECT_GT(cosine(f32.v, bf16.v), 0.999);
  }
}

}  // namespace
}  // namespace unha
