// SPDX-License-Identifier: Apache-2.0
// A weight as it is stored gives the bytes of the same weight widened to f32 first, in every format, op and class.
#include "ops/panels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <numeric>

#include "ops/embedding.h"
#include "ops/head_loss.h"
#include "ops/leaf_rows.h"
#include "ops/linear.h"
#include "ops/mla_attend.h"
#include "ops/moe_experts.h"
#include "ops/test_stored.h"

namespace unha {
namespace {

std::vector<float> activations(int64_t n, uint64_t seed) {
  Rng rng(seed, Purpose::kTest, 0);
  std::vector<float> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<float>(rng.normal_at(static_cast<uint64_t>(i))));
  return out;
}

using Run = std::function<Tensor(Ctx&, int64_t N, bool stored)>;

// `run` on stored weights against itself on widened ones, for all classes, threads and N.
void expect_same_bytes(Format format, const Run& run, std::initializer_list<int64_t> counts = {1, 7, 64}) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (int64_t N : counts) {
      std::vector<float> want;
      for (int n_threads : {0, 1, 2, 3}) {  // 0: the widened weights
        Threads threads(std::max(1, n_threads));
        Arena arena;
        Ctx ctx = make_ctx(arena, threads, numerics, best_isa());
        Tensor y = run(ctx, N, n_threads > 0);
        std::vector<float> got(y.data<float>(), y.data<float>() + y.size());
        if (n_threads == 0) {
          want = std::move(got);
          ASSERT_NE(std::accumulate(want.begin(), want.end(), 0.0), 0.0);
          continue;
        }
        ASSERT_EQ(got.size(), want.size());
        ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
            << format_name(format) << " " << numerics_name(numerics) << " N " << N << " threads " << n_threads;
      }
    }
  }
}

// The widened weights of one class are not those of another.
Weight& fresh(Weight& w) {
  ++w.version;
  return w;
}

class StoredWeights : public testing::TestWithParam<int> {
 protected:
  Format format() const { return format_at(GetParam()); }
  // Columns beyond one stretch of k; ragged where the format allows it.
  int64_t columns() const { return format_block(format()) == 1 ? 1031 : format_block(format()) == 32 ? 1056 : 1280; }
};

TEST_P(StoredWeights, Linear) {
  StoredPair w(format(), 167, columns(), 1);  // more than one task, the last panel partial
  std::vector<float> x = activations(64 * columns(), 2);
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    return ops::linear(ctx, Tensor(x.data(), DType::kF32, N, columns()), stored ? w.stored() : fresh(w.widened()));
  });
}

TEST_P(StoredWeights, Embedding) {
  StoredPair w(format(), 40, columns(), 3);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 64; ++i) ids.push_back(i * 7 % 40);
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    return ops::embedding(ctx, stored ? w.stored() : w.widened(), std::span(ids).first(static_cast<size_t>(N)));
  });
}

TEST_P(StoredWeights, RowsOfATable) {
  StoredPair w(format(), 40, 256, 4);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 128; ++i) ids.push_back(i * 11 % 40);
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    return ops::leaf_rows(ctx, TableRows(stored ? w.stored() : w.widened()),
                          std::span(ids).first(static_cast<size_t>(2 * N)), 2, nullptr);
  });
}

TEST_P(StoredWeights, HeadLoss) {
  StoredPair w(format(), 75, columns(), 5);
  std::vector<float> x = activations(64 * columns(), 6);
  std::vector<int32_t> targets;
  for (int32_t i = 0; i < 64; ++i) targets.push_back(i * 13 % 75);
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    return ops::head_loss(ctx, Tensor(x.data(), DType::kF32, N, columns()), stored ? w.stored() : fresh(w.widened()),
                          std::span(targets).first(static_cast<size_t>(N)), {})
        .nll;
  });
}

// Experts of width F over D columns; with `large`, few tokens share them by columns, else by tiles.
void expect_experts(Format format, int64_t D, int64_t F) {
  constexpr int64_t E = 3;
  std::vector<std::unique_ptr<StoredPair>> pairs;
  auto pair = [&](int64_t rows, int64_t cols) {
    return pairs.emplace_back(std::make_unique<StoredPair>(format, rows, cols, pairs.size())).get();
  };
  for (int64_t e = 0; e <= E; ++e) {
    pair(F, D);
    pair(F, D);
    pair(D, F);
  }
  std::vector<float> gate = activations(E * D, 8), x = activations(64 * D, 9);
  Weight router;
  router.value = Tensor(gate.data(), DType::kF32, E, D);
  ops::RouteConfig config{E, 2, 1, 1, ops::Scoring::kSigmoid, ops::TopK::kNoAuxTc, true, 1.5};
  expect_same_bytes(format, [&](Ctx& ctx, int64_t N, bool stored) {
    std::vector<ops::ExpertWeights> experts;
    auto weight = [&](size_t i) { return stored ? &pairs[i]->stored() : &fresh(pairs[i]->widened()); };
    for (size_t i = 0; i < pairs.size(); i += 3) experts.push_back({weight(i), weight(i + 1), weight(i + 2)});
    ops::ExpertWeights shared = experts.back();
    experts.pop_back();
    Tensor in(x.data(), DType::kF32, N, D);
    return ops::moe_experts(ctx, in, ops::moe_route(ctx, in, fresh(router), nullptr, config), experts, &shared);
  });
}

TEST_P(StoredWeights, ExpertsSharedByColumns) { expect_experts(format(), 768, 512); }
TEST_P(StoredWeights, ExpertsInTiles) { expect_experts(format(), 256, 256); }

constexpr MlaShape kShape = {3, 32, 4, 24, 256, 0.1};

// Rows as an attention layer has them.
struct AttentionInput {
  std::vector<float> q, c, k;
  AttentionInput()
      : q(activations(64 * kShape.heads * (kShape.nope + kShape.rope), 10)),
        c(activations(64 * kShape.latent, 11)),
        k(activations(64 * kShape.rope, 12)) {}
  Tensor attend(Ctx& ctx, int64_t N, const MlaWeights& weights) {
    Segment segment{0, N, 0};
    auto rows = [&](std::vector<float>& v) {
      return Tensor(v.data(), DType::kF32, N, static_cast<int64_t>(v.size()) / 64);
    };
    return ops::mla_attend(ctx, rows(q), rows(c), rows(k), weights, kShape, {&segment, 1}, {});
  }
};

TEST_P(StoredWeights, LatentAttention) {
  StoredPair joined(format(), kShape.heads * (kShape.nope + kShape.v), kShape.latent, 13);
  // As GGUF has them; a block of 256 spans several rows of nope.
  StoredPair k_b(format(), kShape.heads, kShape.latent * kShape.nope, 14);
  StoredPair v_b(format(), kShape.heads, kShape.v * kShape.latent, 15);
  AttentionInput in;
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    return in.attend(ctx, N, fresh(stored ? joined.stored() : joined.widened()));
  });
  expect_same_bytes(format(), [&](Ctx& ctx, int64_t N, bool stored) {
    Weight& k = fresh(stored ? k_b.stored() : k_b.widened());
    return in.attend(ctx, N, {k, fresh(stored ? v_b.stored() : v_b.widened())});
  });
}

std::string name_of(const testing::TestParamInfo<int>& info) { return std::string(format_name(format_at(info.param))); }
INSTANTIATE_TEST_SUITE_P(Formats, StoredWeights, testing::Range(0, kFormats), name_of);

TEST(Panels, Bf16ValuesThatAreNotKeptGiveTheBytesOfTheirF32) {
  StoredPair w(Format::kBF16, 167, 1031, 1);
  std::vector<uint16_t> bits;
  for (float v : w.values()) bits.push_back(f32_to_bf16(v));
  Weight plain;
  plain.value = Tensor(bits.data(), DType::kBF16, 167, 1031);
  std::vector<float> x = activations(64 * 1031, 2);
  expect_same_bytes(Format::kBF16, [&](Ctx& ctx, int64_t N, bool stored) {
    EXPECT_EQ(ops::keeps_panels(ctx, plain), ctx.numerics == Numerics::kBF16x2);
    Weight& weight = fresh(stored ? plain : w.widened());
    Tensor y = ops::linear(ctx, Tensor(x.data(), DType::kF32, N, 1031), weight);
    EXPECT_EQ(weight.forms[0].version == weight.version, ops::keeps_panels(ctx, weight));
    return y;
  });
}

TEST(Panels, SplitLatentWeightsGiveTheBytesOfTheJoined) {
  const MlaShape& s = kShape;
  StoredPair joined(Format::kF32, s.heads * (s.nope + s.v), s.latent, 13);
  std::vector<float> k_b, v_b;
  for (int64_t h = 0; h < s.heads; ++h) {
    const float* head = joined.values().data() + h * (s.nope + s.v) * s.latent;
    for (int64_t r = 0; r < s.latent; ++r) {
      for (int64_t n = 0; n < s.nope; ++n) k_b.push_back(head[n * s.latent + r]);
    }
    v_b.insert(v_b.end(), head + s.nope * s.latent, head + (s.nope + s.v) * s.latent);
  }
  Weight k, v;
  k.value = Tensor(k_b.data(), DType::kF32, s.heads, s.latent * s.nope);
  v.value = Tensor(v_b.data(), DType::kF32, s.heads, s.v * s.latent);
  AttentionInput in;
  expect_same_bytes(Format::kF32, [&](Ctx& ctx, int64_t N, bool split) {
    return split ? in.attend(ctx, N, {fresh(k), fresh(v)}) : in.attend(ctx, N, fresh(joined.widened()));
  });
}

TEST(PanelsDeathTest, GradientsOfStoredWeightsAreRefusedWhenRecorded) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  StoredPair w(Format::kQ8_0, 32, 64, 1);
  std::vector<float> x = activations(64, 2);
  Threads threads(1);
  Arena arena;
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, Isa::kScalar);
  ctx.tape = &tape;
  EXPECT_DEATH(ops::linear(ctx, Tensor(x.data(), DType::kF32, 1, 64), w.stored()), "linear: a weight stored as Q8_0");
}

}  // namespace
}  // namespace unha
