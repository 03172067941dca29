// SPDX-License-Identifier: Apache-2.0
#include "ops/mla_attend.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ops/grad_check.h"

namespace unha {
namespace {

constexpr MlaShape kOdd = {3, 5, 4, 7, 11, 0.3};  // nope, rope, v and latent all different, rows of odd width
constexpr MlaShape kEven = {4, 16, 8, 12, 32, 0.2};

// Inputs of one call in double, and the same in float.
struct Data {
  int64_t N;
  MlaShape shape;
  std::vector<double> q, c, k, w;

  Data(int64_t n, const MlaShape& s, uint64_t seed = 1) : N(n), shape(s) {
    uint64_t stream = 0;
    auto fill = [&](std::vector<double>& v, int64_t count, double scale) {
      Rng rng(seed, Purpose::kTest, stream++);
      v.resize(static_cast<size_t>(count));
      for (size_t i = 0; i < v.size(); ++i) v[i] = scale * rng.normal_at(i);
    };
    fill(q, n * s.heads * (s.nope + s.rope), 1);
    fill(c, n * s.latent, 1);
    fill(k, n * s.rope, 1);
    fill(w, s.heads * (s.nope + s.v) * s.latent, 1 / std::sqrt(static_cast<double>(s.latent)));
  }
};

template <class R>
std::vector<R> cast(const std::vector<double>& v) {
  return {v.begin(), v.end()};
}

// Runs mla_attend on rows of a Data under one (class, tier, threads).
template <class R>
class Runner {
 public:
  Runner(const Data& data, Numerics numerics, Isa isa, int threads)
      : data_(data),
        q_(cast<R>(data.q)),
        c_(cast<R>(data.c)),
        k_(cast<R>(data.k)),
        w_(cast<R>(data.w)),
        threads_(threads),
        ctx_(make_ctx(arena_, threads_, numerics, isa)) {
    const MlaShape& s = data.shape;
    weight_.value = Tensor(w_.data(), ctx_.real(), s.heads * (s.nope + s.v), s.latent);
  }
  Tensor q(int64_t begin, int64_t n) {
    return rows(q_, begin, n, data_.shape.heads * (data_.shape.nope + data_.shape.rope));
  }
  Tensor c(int64_t begin, int64_t n) { return rows(c_, begin, n, data_.shape.latent); }
  Tensor k(int64_t begin, int64_t n) { return rows(k_, begin, n, data_.shape.rope); }
  Ctx& ctx() { return ctx_; }
  Weight& weight() { return weight_; }

  // Rows [begin, begin + n) of the data as a call.
  std::vector<R> run(int64_t begin, int64_t n, std::vector<Segment> segments, std::vector<CacheRows> caches = {}) {
    auto mark = arena_.mark();
    Tensor y = ops::mla_attend(ctx_, q(begin, n), c(begin, n), k(begin, n), weight_, data_.shape, segments, caches);
    std::vector<R> out(y.data<R>(), y.data<R>() + y.size());
    arena_.rewind(mark);
    return out;
  }

 private:
  Tensor rows(std::vector<R>& v, int64_t begin, int64_t n, int64_t cols) {
    return {v.data() + begin * cols, ctx_.real(), n, cols};
  }
  const Data& data_;
  std::vector<R> q_, c_, k_, w_;
  Arena arena_;
  Threads threads_;
  Ctx ctx_;
  Weight weight_;
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

// The expanded form, as plainly as it can be said: keys and values of each head are made from the latents.
std::vector<double> expanded(const Data& d, const std::vector<Segment>& segments) {
  const MlaShape& s = d.shape;
  int64_t width = s.nope + s.rope;
  std::vector<double> out(static_cast<size_t>(d.N * s.heads * s.v));
  auto w_row = [&](int64_t h, int64_t r) { return d.w.data() + (h * (s.nope + s.v) + r) * s.latent; };
  auto dot = [](const double* a, const double* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (const Segment& segment : segments) {
    for (int64_t t = 0; t < segment.len; ++t) {
      for (int64_t h = 0; h < s.heads; ++h) {
        const double* q = d.q.data() + ((segment.begin + t) * s.heads + h) * width;
        std::vector<double> score(static_cast<size_t>(t + 1));
        double highest = -1e300, sum = 0;
        for (int64_t j = 0; j <= t; ++j) {
          const double* c = d.c.data() + (segment.begin + j) * s.latent;
          double x = dot(q + s.nope, d.k.data() + (segment.begin + j) * s.rope, s.rope);
          for (int64_t r = 0; r < s.nope; ++r) x += q[r] * dot(w_row(h, r), c, s.latent);
          score[static_cast<size_t>(j)] = x * s.scale;
          highest = std::max(highest, x * s.scale);
        }
        for (double& x : score) sum += x = std::exp(x - highest);
        for (int64_t j = 0; j <= t; ++j) {
          const double* c = d.c.data() + (segment.begin + j) * s.latent;
          for (int64_t r = 0; r < s.v; ++r) {
            out[static_cast<size_t>(((segment.begin + t) * s.heads + h) * s.v + r)] +=
                score[static_cast<size_t>(j)] / sum * dot(w_row(h, s.nope + r), c, s.latent);
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

TEST(MlaAttend, AbsorbedEqualsExpanded) {
  for (const MlaShape& shape : {kOdd, kEven}) {
    Data data(150, shape);
    std::vector<Segment> segments = {{0, 1, 0}, {1, 66, 0}, {67, 83, 0}};
    auto reference = expanded(data, segments);
    EXPECT_LT(worst(Runner<double>(data, Numerics::kF64, Isa::kScalar, 2).run(0, 150, segments), reference), 1e-12);
    EXPECT_LT(worst(Runner<float>(data, Numerics::kF32, best_isa(), 2).run(0, 150, segments), reference), 2e-5);
    EXPECT_LT(worst(Runner<float>(data, Numerics::kBF16x2, best_isa(), 2).run(0, 150, segments), reference), 0.1);
  }
}

TEST(MlaAttend, GradientsAgreeWithCentralDifferences) {
  struct Case {
    MlaShape shape;
    std::vector<Segment> segments;
  };
  const Case cases[] = {{kOdd, {{0, 2, 0}, {2, 5, 0}, {7, 1, 0}}},
                        {{2, 3, 2, 5, 6, 0.5}, {{0, 67, 0}}},
                        {{65, 2, 2, 1, 3, 0.5}, {{0, 5, 0}}}};
  for (const auto& [s, segments] : cases) {
    int64_t N = segments.back().begin + segments.back().len;
    GradCheck check(1, N > 10 ? 2 : 1);
    check.input(N, s.heads * (s.nope + s.rope));
    check.input(N, s.latent);
    check.input(N, s.rope);
    auto w = check.weight(s.heads * (s.nope + s.v), s.latent, 0.5);
    check.run(
        [&, shape = s, list = segments](Ctx& ctx, const std::vector<Tensor>& in) {
          return ops::mla_attend(ctx, in[0], in[1], in[2], check.weight_at(w), shape, list, {});
        },
        1e-6, N > 10 ? 6 : 24);
  }
}

struct Gradients {
  std::vector<float> q, c, k, w;
};

// Gradients of sum(f * y) with fixed random f.
Gradients gradients(const Data& data, Numerics numerics, Isa isa, int threads, const std::vector<Segment>& segments) {
  Runner<float> runner(data, numerics, isa, threads);
  const MlaShape& s = data.shape;
  Tape tape;
  runner.ctx().tape = &tape;
  Gradients g;
  g.w.assign(data.w.size(), 0);
  runner.weight().grad = Tensor(g.w.data(), DType::kF32, runner.weight().rows(), s.latent);
  Tensor q = tape.track(runner.q(0, data.N)), c = tape.track(runner.c(0, data.N)), k = tape.track(runner.k(0, data.N));
  tape.record("read", [&] {
    for (auto [from, to] : {std::pair{q, &g.q}, std::pair{c, &g.c}, std::pair{k, &g.k}}) {
      Tensor d = tape.grad(from);
      to->assign(d.data<float>(), d.data<float>() + d.size());
    }
  });
  Tensor y = ops::mla_attend(runner.ctx(), q, c, k, runner.weight(), s, segments, {});
  tape.record("seed", [&] {
    Rng rng(9, Purpose::kTest, 0);
    Tensor d = tape.grad(y);
    for (int64_t i = 0; i < d.size(); ++i)
      d.data<float>()[i] = static_cast<float>(rng.normal_at(static_cast<uint64_t>(i)));
  });
  tape.backward();
  return g;
}

struct Class {
  Numerics numerics;
  DType operand;
};
constexpr Class kClasses[] = {{Numerics::kF32, DType::kF32}, {Numerics::kBF16x2, DType::kBF16}};

TEST(MlaAttend, ChunksCachesThreadsAndTiersDoNotShow) {
  constexpr int64_t kN = 150;
  for (const MlaShape& shape : {kOdd, kEven}) {
    Data data(kN, shape);
    for (const Class& c : kClasses) {
      auto expected = Runner<float>(data, c.numerics, Isa::kScalar, 1).run(0, kN, {{0, kN, 0}});
      for (Isa isa : available_isas()) {
        for (int threads : {1, 2, 3}) {
          Runner<float> runner(data, c.numerics, isa, threads);
          ASSERT_EQ(runner.run(0, kN, {{0, kN, 0}}), expected) << "training";
          for (int64_t chunk : {int64_t{1}, int64_t{7}, int64_t{64}, kN}) {
            Cache cache(kN + 3, shape.latent + shape.rope + 2, c.operand);
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

TEST(MlaAttend, TheShapeOfTinyIsTheSameOnAllTiers) {
  constexpr MlaShape kTiny = {4, 64, 32, 64, 128, 0.1};
  constexpr int64_t kN = 131;
  Data data(kN, kTiny);
  for (const Class& c : kClasses) {
    auto expected = Runner<float>(data, c.numerics, Isa::kScalar, 1).run(0, kN, {{0, kN, 0}});
    Gradients expected_back = gradients(data, c.numerics, Isa::kScalar, 1, {{0, kN, 0}});
    for (Isa isa : available_isas()) {
      Runner<float> runner(data, c.numerics, isa, 2);
      Cache cache(192, kTiny.latent + kTiny.rope, c.operand);
      auto got = runner.run(0, 100, {{0, 100, 0}}, {cache.rows});
      for (int64_t pos = 100; pos < kN; ++pos) {
        auto row = runner.run(pos, 1, {{0, 1, pos}}, {cache.rows});
        got.insert(got.end(), row.begin(), row.end());
      }
      EXPECT_EQ(got, expected) << isa_name(isa);
      Gradients back = gradients(data, c.numerics, isa, 2, {{0, kN, 0}});
      EXPECT_EQ(back.q, expected_back.q) << isa_name(isa);
      EXPECT_EQ(back.c, expected_back.c) << isa_name(isa);
      EXPECT_EQ(back.k, expected_back.k) << isa_name(isa);
      EXPECT_EQ(back.w, expected_back.w) << isa_name(isa);
    }
  }
}

TEST(MlaAttend, DecodeTakesNoMemoryAfterTheFirstToken) {
  Data data(90, kEven);
  Runner<float> runner(data, Numerics::kBF16x2, best_isa(), 2);
  Cache cache(128, kEven.latent + kEven.rope, DType::kBF16);
  runner.run(0, 1, {{0, 1, 0}}, {cache.rows});
  size_t reserved = runner.ctx().arena.reserved_bytes(), peak = runner.ctx().arena.peak_bytes();
  const std::byte* panels[] = {runner.weight().forms[0].data, runner.weight().forms[1].data};
  for (int64_t pos = 1; pos < 90; ++pos) runner.run(pos, 1, {{0, 1, pos}}, {cache.rows});
  EXPECT_EQ(runner.ctx().arena.reserved_bytes(), reserved);
  EXPECT_EQ(runner.ctx().arena.peak_bytes(), peak);
  EXPECT_EQ(runner.weight().forms[0].data, panels[0]);
  EXPECT_EQ(runner.weight().forms[1].data, panels[1]);
}

TEST(MlaAttend, LongContextsCutByHeadsGiveTheSameBytes) {
  MlaShape shape{5, 16, 8, 12, 64, 0.1};
  constexpr int64_t kN = 1700;
  Data data(kN, shape);
  for (const Class& c : kClasses) {
    std::vector<std::vector<float>> results;
    for (int threads : {1, 2, 3}) {
      Runner<float> runner(data, c.numerics, best_isa(), threads);
      Cache cache(kN, shape.latent + shape.rope, c.operand);
      runner.run(0, kN - 1, {{0, kN - 1, 0}}, {cache.rows});
      results.push_back(runner.run(kN - 1, 1, {{0, 1, kN - 1}}, {cache.rows}));
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

TEST(MlaAttend, StrangersInTheBatchDoNotShow) {
  Data data(100, kEven);
  for (const Class& c : kClasses) {
    Runner<float> runner(data, c.numerics, best_isa(), 2);
    auto row = static_cast<size_t>(kEven.heads * kEven.v);
    int64_t width = kEven.latent + kEven.rope;
    auto alone = runner.run(30, 70, {{0, 70, 0}});
    auto mixed = runner.run(0, 100, {{0, 30, 0}, {30, 70, 0}});
    EXPECT_EQ(std::vector<float>(mixed.begin() + static_cast<ptrdiff_t>(30 * row), mixed.end()), alone);
    // Decode of one among prefill of another, with caches.
    Cache mine(70, width, c.operand), other(64, width, c.operand);
    runner.run(30, 69, {{0, 69, 0}}, {mine.rows});
    // Rows 70 .. 98 belong to the stranger, row 99 is my last token.
    auto both = runner.run(70, 30, {{0, 29, 0}, {29, 1, 69}}, {other.rows, mine.rows});
    EXPECT_EQ(std::vector<float>(both.begin() + static_cast<ptrdiff_t>(29 * row), both.end()),
              std::vector<float>(alone.begin() + static_cast<ptrdiff_t>(69 * row), alone.end()));
  }
}

TEST(MlaAttend, RejectedDraftsInTheCacheDoNotShow) {
  Data data(80, kEven);
  for (const Class& c : kClasses) {
    Runner<float> runner(data, c.numerics, best_isa(), 1);
    Cache clean(128, kEven.latent + kEven.rope, c.operand), dirty(128, kEven.latent + kEven.rope, c.operand);
    runner.run(0, 70, {{0, 70, 0}}, {clean.rows});
    runner.run(0, 70, {{0, 70, 0}}, {dirty.rows});
    runner.run(75, 5, {{0, 5, 70}}, {dirty.rows});  // drafts, forgotten
    EXPECT_EQ(runner.run(70, 2, {{0, 2, 70}}, {dirty.rows}), runner.run(70, 2, {{0, 2, 70}}, {clean.rows}));
  }
}

TEST(MlaAttend, GradientsAreTheSameOnAllThreadsAndTiers) {
  for (const MlaShape& shape : {kOdd, kEven}) {
    Data data(140, shape);
    for (const std::vector<Segment>& segments :
         {std::vector<Segment>{{0, 140, 0}}, std::vector<Segment>{{0, 3, 0}, {3, 70, 0}, {73, 67, 0}}}) {
      for (const Class& c : kClasses) {
        Gradients expected = gradients(data, c.numerics, Isa::kScalar, 1, segments);
        for (Isa isa : available_isas()) {
          for (int threads : {1, 3}) {
            Gradients got = gradients(data, c.numerics, isa, threads, segments);
            ASSERT_EQ(got.q, expected.q) << isa_name(isa) << threads;
            ASSERT_EQ(got.c, expected.c) << isa_name(isa) << threads;
            ASSERT_EQ(got.k, expected.k) << isa_name(isa) << threads;
            ASSERT_EQ(got.w, expected.w) << isa_name(isa) << threads;
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

TEST(MlaAttend, GradientsInBf16PointWhereThoseInF32Point) {
  for (const MlaShape& shape : {kOdd, kEven}) {
    Data data(200, shape);
    std::vector<Segment> segments = {{0, 130, 0}, {130, 70, 0}};
    Gradients f32 = gradients(data, Numerics::kF32, best_isa(), 2, segments);
    Gradients bf16 = gradients(data, Numerics::kBF16x2, best_isa(), 2, segments);
    EXPECT_GT(cosine(f32.q, bf16.q), 0.999);
    EXPECT_GT(cosine(f32.c, bf16.c), 0.999);
    EXPECT_GT(cosine(f32.k, bf16.k), 0.999);
    EXPECT_GT(cosine(f32.w, bf16.w), 0.999);
  }
}

}  // namespace
}  // namespace unha
