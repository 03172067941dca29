// SPDX-License-Identifier: Apache-2.0
// Every tier against the scalar one with ==, and the scalar one against double.
#include "kernels/gemm.h"

#include "kernels/tier_test.h"
#include "tensor/dtype.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace unha::kernels {
namespace {

constexpr int64_t kSizes[] = {1, 15, 16, 17, 31, 33, 63, 257};
constexpr Numerics kClasses[] = {Numerics::kF32, Numerics::kBF16x2};
constexpr Accumulate kModes[] = {Accumulate::kSet, Accumulate::kContinue, Accumulate::kAdd};

using Bytes = std::vector<uint8_t>;

// One product C[M, N] = A[M, K] . B[K, N] with contiguous rows.
struct Product {
  int64_t M, N, K;
  std::vector<float> a, b, c;
};

Product random_product(int64_t M, int64_t N, int64_t K, uint64_t seed) {
  Rng rng(seed, Purpose::kTest, 0);
  return {M, N, K, normals(rng, M * K), normals(rng, K * N), normals(rng, M * N)};
}

Bytes packed_a(const GemmKernels<float>& gemm, const Product& p) {
  Bytes out(static_cast<size_t>(gemm.a_bytes(p.M, p.K)), 0xcd);
  gemm.pack_a(p.a.data(), p.K, 1, p.M, p.K, out.data(), gemm.padded_k(p.K));
  return out;
}
Bytes packed_b(const GemmKernels<float>& gemm, const Product& p, int64_t k0, int64_t k1) {
  Bytes out(static_cast<size_t>(gemm.b_bytes(k1 - k0, p.N)), 0xcd);
  gemm.pack_b(p.b.data() + k0 * p.N, p.N, 1, k1 - k0, p.N, out.data());
  return out;
}

std::vector<float> multiplied(const GemmKernels<float>& gemm, const Product& p, Accumulate mode) {
  Bytes a = packed_a(gemm, p), b = packed_b(gemm, p, 0, p.K);
  int64_t ldc = p.N + 3;  // what lies between rows must survive
  std::vector<float> c(static_cast<size_t>(p.M * ldc), 7);
  for (int64_t m = 0; m < p.M; ++m) std::copy_n(p.c.data() + m * p.N, p.N, c.data() + m * ldc);
  gemm.multiply(a.data(), gemm.padded_k(p.K), b.data(), p.M, p.N, p.K, c.data(), ldc, mode);
  return c;
}

class GemmTest : public EveryTier {
 protected:
  void expect_same(const Product& p, Accumulate mode) {
    for (Numerics numerics : kClasses) {
      ASSERT_TRUE(same_bytes(multiplied(scalar().gemm(numerics), p, mode), multiplied(tier().gemm(numerics), p, mode)))
          << numerics_name(numerics) << " " << p.M << " x " << p.N << " x " << p.K << " mode "
          << static_cast<int>(mode);
    }
  }
};

TEST_P(GemmTest, ProductsOfAllOddSizesEqualTheScalarOnes) {
  int turn = 0;
  for (int64_t M : kSizes) {
    for (int64_t N : kSizes) {
      for (int64_t K : kSizes) {
        if (M * N * K > 5'000'000 && M != N) continue;  // one of the largest is enough
        expect_same(random_product(M, N, K, static_cast<uint64_t>(turn)), kModes[turn % 3]);
        if (HasFatalFailure()) return;
        ++turn;
      }
    }
  }
}

TEST_P(GemmTest, EveryHeightAndWidthOfATileEqualsTheScalarOne) {
  for (int64_t M = 1; M <= 26; ++M) {
    for (int64_t N : {32, 64, 96, 160, 200, 300}) {
      for (Accumulate mode : kModes) {
        expect_same(random_product(M, N, 7 + M % 2, static_cast<uint64_t>(M)), mode);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(GemmTest, InfinitiesNansDenormalsAndSignedZerosEqualTheScalarOnes) {
  auto specials = special_values();
  Rng rng(5, Purpose::kTest, 1);
  for (int round = 0; round < 200; ++round) {
    Product p = random_product(1 + round % 9, 40, 1 + round % 5, static_cast<uint64_t>(round));
    for (auto* v : {&p.a, &p.b, &p.c}) {
      for (float& x : *v) {
        if (rng.below(3) == 0) x = specials[rng.below(specials.size())];
      }
    }
    expect_same(p, kModes[round % 3]);
    if (HasFatalFailure()) return;
  }
}

TEST_P(GemmTest, ContinuingOverAnySplitOfKEqualsOneCall) {
  Rng rng(7, Purpose::kTest, 2);
  for (Numerics numerics : kClasses) {
    const auto& gemm = tier().gemm(numerics);
    for (int round = 0; round < 40; ++round) {
      Product p = random_product(1 + round % 14, 70, 2 * (2 + round), static_cast<uint64_t>(round));
      Bytes a = packed_a(gemm, p);
      Bytes whole = packed_b(gemm, p, 0, p.K);
      std::vector<float> want(static_cast<size_t>(p.M * p.N)), got(want.size());
      gemm.multiply(a.data(), p.K, whole.data(), p.M, p.N, p.K, want.data(), p.N, Accumulate::kSet);
      for (int64_t k = 0; k < p.K;) {
        int64_t end = std::min<int64_t>(p.K, k + 2 * rng.between(1, 9));
        Bytes part = packed_b(gemm, p, k, end);
        gemm.multiply(a.data() + k * gemm.element_bytes, p.K, part.data(), p.M, p.N, end - k, got.data(), p.N,
                      k == 0 ? Accumulate::kSet : Accumulate::kContinue);
        k = end;
      }
      ASSERT_TRUE(same_bytes(want, got)) << numerics_name(numerics) << " round " << round;
    }
  }
}

// Packs with given strides on both tiers; `bf16` sources are the same values, rounded.
template <class Pack>
void expect_same_packing(const GemmKernels<float>& want, const GemmKernels<float>& got, size_t bytes, Pack pack) {
  for (bool bf16 : {false, true}) {
    Bytes x(bytes, 0xcd), y(bytes, 0xcd);
    pack(want, bf16, x.data());
    pack(got, bf16, y.data());
    ASSERT_TRUE(same_bytes(x, y)) << (bf16 ? "from bf16" : "from f32");
  }
}

TEST_P(GemmTest, PackingEqualsTheScalarOneForEveryOrderAndSize) {
  Rng rng(9, Purpose::kTest, 3);
  auto specials = special_values();
  std::vector<float> src = normals(rng, 90 * 90 * 2);
  for (float& x : src) {
    if (rng.below(4) == 0) x = specials[rng.below(specials.size())];
    if (std::isnan(x)) x = std::bit_cast<float>(std::bit_cast<uint32_t>(x) | 0x00400000u);  // payloads may differ
  }
  std::vector<uint16_t> rounded;
  for (float x : src) rounded.push_back(f32_to_bf16(x));
  struct Order {
    int64_t outer, k;
  };
  for (Numerics numerics : kClasses) {
    const auto& want = scalar().gemm(numerics);
    const auto& got = tier().gemm(numerics);
    for (int64_t n : {1, 7, 16, 31, 32, 33, 48, 63, 64, 90}) {
      for (int64_t K : {1, 2, 15, 16, 31, 32, 33, 47, 63, 64, 89}) {
        for (Order order : {Order{90, 1}, Order{1, 90}, Order{2, 180}, Order{180, 2}}) {
          if (order.outer * n + order.k * K > 90 * 180) continue;
          int64_t lda = want.padded_k(K) + 2 * (n % 3);
          expect_same_packing(want, got, static_cast<size_t>(n * lda * want.element_bytes),
                              [&](const GemmKernels<float>& gemm, bool bf16, void* dst) {
                                if (bf16) {
                                  gemm.pack_a_bf16(rounded.data(), order.outer, order.k, n, K, dst, lda);
                                } else {
                                  gemm.pack_a(src.data(), order.outer, order.k, n, K, dst, lda);
                                }
                              });
          expect_same_packing(want, got, static_cast<size_t>(want.b_bytes(K, n)),
                              [&](const GemmKernels<float>& gemm, bool bf16, void* dst) {
                                if (bf16) {
                                  gemm.pack_b_bf16(rounded.data(), order.k, order.outer, K, n, dst);
                                } else {
                                  gemm.pack_b(src.data(), order.k, order.outer, K, n, dst);
                                }
                              });
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Lanes of c + a1 b1 + a0 b0 with the exponents where rounding, cancellation and underflow happen.
Product dot_lanes(uint64_t seed) {
  Rng rng(seed, Purpose::kTest, 4);
  Product p = {256, 4096, 2, {}, {}, {}};
  auto bits = [&](int64_t low, int64_t high) {
    return std::bit_cast<float>((rng.next_u32() & 0x807fffffu) | static_cast<uint32_t>(rng.between(low, high)) << 23);
  };
  // Half of the rows meet the bottom of the range, where products and sums turn denormal.
  for (int64_t i = 0; i < p.M * p.K; ++i) p.a.push_back(i / 2 % 2 == 0 ? bits(120, 135) : bits(0, 16));
  for (int64_t i = 0; i < p.K * p.N; ++i) p.b.push_back(bits(112, 140));
  for (int64_t m = 0; m < p.M; ++m) {
    for (int64_t n = 0; n < p.N; ++n) p.c.push_back(m % 2 == 0 ? bits(105, 148) : bits(0, 24));
  }
  return p;
}

TEST_P(GemmTest, DotProductsFollowTheVdpbf16psRuleInMillionsOfLanes) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Product p = dot_lanes(seed);
    ASSERT_TRUE(same_bytes(multiplied(scalar().gemm_bf16x2, p, Accumulate::kContinue),
                           multiplied(tier().gemm_bf16x2, p, Accumulate::kContinue)));
  }
}

#if defined(__x86_64__)
TEST_P(GemmTest, TheDotProductInstructionDoesNotConsultTheControlRegister) {
  if (tier().isa < Isa::kAvx512Bf16) GTEST_SKIP() << "the tier has no dot product instruction";
  Product p = dot_lanes(11);
  auto want = multiplied(tier().gemm_bf16x2, p, Accumulate::kContinue);
  unsigned saved = _mm_getcsr();
  _mm_setcsr((saved & ~0x8040u) | 0x6000u);  // denormals kept, rounding toward zero
  auto got = multiplied(tier().gemm_bf16x2, p, Accumulate::kContinue);
  _mm_setcsr(saved);
  EXPECT_TRUE(same_bytes(want, got));
}
#endif

UNHA_EVERY_TIER(GemmTest);

double exact_sum(const Product& p, int64_t m, int64_t n, double* magnitude) {
  double sum = 0;
  *magnitude = 0;
  for (int64_t k = 0; k < p.K; ++k) {
    double term = static_cast<double>(p.a[static_cast<size_t>(m * p.K + k)]) *
                  static_cast<double>(p.b[static_cast<size_t>(k * p.N + n)]);
    sum += term;
    *magnitude += std::fabs(term);
  }
  return sum;
}

TEST(Gemm, ErrorAgainstDoubleIsWithinTheRoundingOfItsInputs) {
  flush_denormals();
  for (Numerics numerics : kClasses) {
    double bound = numerics == Numerics::kF32 ? 0x1p-18 : 0x1p-8;
    const auto& gemm = kernels_for(best_isa()).gemm(numerics);
    for (int64_t size : kSizes) {
      Product p = random_product(size, 33, 257, static_cast<uint64_t>(size));
      auto c = multiplied(gemm, p, Accumulate::kSet);
      for (int64_t m = 0; m < p.M; ++m) {
        for (int64_t n = 0; n < p.N; ++n) {
          double magnitude = 0;
          double want = exact_sum(p, m, n, &magnitude);
          ASSERT_LE(std::fabs(static_cast<double>(c[static_cast<size_t>(m * (p.N + 3) + n)]) - want),
                    bound * magnitude);
        }
      }
    }
  }
}

TEST(Gemm, SmallIntegersAreExact) {
  flush_denormals();
  Rng rng(3, Purpose::kTest, 5);
  for (Numerics numerics : kClasses) {
    const auto& gemm = kernels_for(best_isa()).gemm(numerics);
    Product p = random_product(33, 63, 257, 1);
    for (auto* v : {&p.a, &p.b}) {
      for (float& x : *v) x = static_cast<float>(rng.between(-16, 16));
    }
    auto c = multiplied(gemm, p, Accumulate::kSet);
    for (int64_t m = 0; m < p.M; ++m) {
      for (int64_t n = 0; n < p.N; ++n) {
        double magnitude = 0;
        ASSERT_EQ(static_cast<double>(c[static_cast<size_t>(m * (p.N + 3) + n)]), exact_sum(p, m, n, &magnitude));
      }
    }
  }
}

}  // namespace
}  // namespace unha::kernels
