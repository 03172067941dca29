// SPDX-License-Identifier: Apache-2.0
// The matrix of numerics.md section 5: logits are the same bytes over threads, chunks, warm prefixes, strangers in the
// batch, drafts, greedy or sampled, and tiers, and they are those of the training forward.
#include <gtest/gtest.h>

#include <cstring>

#include "base/sha256.h"
#include "engine/bpb.h"
#include "engine/generate.h"
#include "io/test_dir.h"
#include "ops/linear.h"
#include "tiny_model.h"

namespace unha {
namespace {

constexpr int64_t kNew = 24;

std::vector<int32_t> make_prompt(size_t n) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>((i * i * 7 + i * 13 + 5) % 101));
  return ids;
}

class Parity : public testing::TestWithParam<Numerics> {
 protected:
  void SetUp() override { write_tiny_model(dir_.path()); }

  std::unique_ptr<Engine> open(int threads, Isa isa, int64_t chunk) {
    EngineOptions options;
    options.threads = threads;
    options.isa = isa;
    options.numerics = GetParam();
    options.prefill_chunk = chunk;
    return Engine::open(dir_.path(), options);
  }

  static GenerateOptions how(bool sampled, bool speculate) {
    GenerateOptions options;
    options.sampling.temperature = sampled ? 0.8 : 0;
    options.sampling.repetition_penalty = sampled ? 1.1 : 1;
    options.sampling.seed = 11;
    options.max_tokens = kNew;
    options.speculate = speculate;
    options.digest = true;
    return options;
  }

  // What the training forward says of the rows that the ids were drawn from.
  std::string trained_digest(const std::vector<int32_t>& prompt, const std::vector<int32_t>& ids) {
    auto engine = open(2, best_isa(), 64);
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), ids.begin(), ids.end() - 1);
    Segment segment{0, static_cast<int64_t>(all.size()), 0};
    Model& model = engine->model();
    Tensor h = model.trunk(engine->ctx(), Batch{all, {&segment, 1}, {}, nullptr});
    Tensor logits = ops::linear(engine->ctx(), model.final_norm(engine->ctx(), h), model.head());
    Sha256 sha;
    for (auto r = static_cast<int64_t>(prompt.size()) - 1; r < logits.rows(); ++r) {
      sha.update(logits.row<float>(r), static_cast<size_t>(logits.cols()) * sizeof(float));
    }
    return sha.hex();
  }

  TestDir dir_;
};

TEST_P(Parity, LogitsAreTheSameBytesHoweverTheyAreComputed) {
  std::vector<int32_t> prompt = make_prompt(75);
  for (bool sampled : {false, true}) {
    std::string expected;
    std::vector<int32_t> ids;
    for (Isa isa : available_isas()) {
      for (int threads : {1, 2, 3}) {
        for (int64_t chunk : {1, 7, 64, 1000}) {
          auto engine = open(threads, isa, chunk);
          for (bool speculate : {false, true}) {
            Session session(*engine, engine->context(), speculate);
            for (bool warm : {false, true}) {
              if (warm) {  // another timeline that shares a beginning
                std::vector<int32_t> other(prompt.begin(), prompt.begin() + 40);
                other.push_back(99);
                session.prefill(other);
              }
              Generated out = generate(*engine, session, prompt, how(sampled, speculate));
              if (expected.empty()) {
                expected = out.logits_digest;
                ids = out.ids;
                EXPECT_EQ(expected, trained_digest(prompt, ids));
              }
              ASSERT_EQ(out.logits_digest, expected) << isa_name(isa) << ", " << threads << " threads, chunks of "
                                                     << chunk << ", drafts " << speculate << ", warm " << warm;
              ASSERT_EQ(out.ids, ids);
              EXPECT_EQ(out.stats.drafted > 0, speculate);
            }
          }
        }
      }
    }
    EXPECT_EQ(ids.size(), static_cast<size_t>(kNew));
  }
}

TEST_P(Parity, StrangersInTheBatchChangeNothing) {
  auto engine = open(2, best_isa(), 64);
  std::vector<int32_t> prompts[3] = {make_prompt(9), make_prompt(33), make_prompt(70)};
  std::vector<std::vector<float>> alone;
  for (const auto& prompt : prompts) {
    Session session(*engine, 128);
    session.prefill(prompt);
    int32_t next = 42;
    Tensor row = session.decode({&next, 1});
    alone.emplace_back(row.row<float>(0), row.row<float>(0) + row.cols());
  }
  Session a(*engine, 128), b(*engine, 128), c(*engine, 128);
  Session* sessions[3] = {&a, &b, &c};
  std::vector<StepItem> items;
  for (size_t i = 0; i < 3; ++i) items.push_back({sessions[i], prompts[i], static_cast<int64_t>(i % 2), {}, {}});
  engine->begin();
  engine->step(items);
  std::vector<int32_t> next = {42, 42, 42};
  for (size_t i = 0; i < 3; ++i) items[i] = {sessions[i], std::span(next).subspan(i, 1), 1, {}, {}};
  engine->begin();
  engine->step(items);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(std::memcmp(items[i].logits.row<float>(0), alone[i].data(), alone[i].size() * sizeof(float)), 0) << i;
  }
}

TEST_P(Parity, ATextsScoreIsTheSumOfItsTokensAndCountsEachOnce) {
  auto engine = open(2, best_isa(), 64);
  std::vector<int32_t> ids = make_prompt(200);
  TextScore whole = score_text(engine->ctx(), engine->model(), ids, 512);
  EXPECT_EQ(whole.tokens, 199);
  std::span<const int32_t> all = ids;
  EXPECT_NEAR(whole.nats, -score(*engine, all.first(1), all.subspan(1)), 1e-6 * whole.nats);
  TextScore windows = score_text(engine->ctx(), engine->model(), ids, 32);
  EXPECT_EQ(windows.tokens, 199);
  EXPECT_NE(windows.nats, whole.nats);
}

TEST_P(Parity, AFullContextEndsTheReplyAndALongerPromptIsRefused) {
  auto engine = open(2, best_isa(), 64);
  for (bool speculate : {false, true}) {
    Session session(*engine, 32, speculate);
    GenerateOptions options = how(false, speculate);
    options.max_tokens = 1000;
    Generated out = generate(*engine, session, make_prompt(20), options);
    EXPECT_EQ(out.ids.size(), 12U);
    EXPECT_EQ(out.finish, Finish::kLength);
    expect_error(ErrorCode::kInvalidArgument, "the context holds 32",
                 [&] { generate(*engine, session, make_prompt(33), options); });
  }
}

std::string class_name(const testing::TestParamInfo<Numerics>& test) { return std::string(numerics_name(test.param)); }
INSTANTIATE_TEST_SUITE_P(Classes, Parity, testing::Values(Numerics::kF32, Numerics::kBF16x2), class_name);

}  // namespace
}  // namespace unha
