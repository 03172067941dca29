// SPDX-License-Identifier: Apache-2.0
// unha eval ppl against a plain computation from logits, and on a real model against its reference.
#include "engine/ppl.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cli_fixture.h"
#include "engine/engine.h"
#include "ops/linear.h"
#include "tiny_model.h"

namespace unha {
namespace {

class PplTest : public CliTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 60; ++i) text_ += "Line " + std::to_string(i) + " of a text.\n";
    write_file_atomic(dir_ / "text.txt", text_);
    model_ = dir_ / "model";
    ASSERT_EQ(cli({"tokenizer", "train", dir_ / "text.txt", "--vocab-size", "300", "--out", model_}), 0) << error_;
    write_tiny_model(model_, 320);
    EngineOptions options;
    options.threads = 1;
    options.numerics = Numerics::kF32;
    engine_ = Engine::open(model_, options);
  }

  // Mean over the second half of ids [context], from logits and log-sum-exp in double.
  double plain_mean(std::vector<int32_t> ids, int32_t bos) {
    if (bos >= 0) ids[0] = bos;
    auto n = static_cast<int64_t>(ids.size());
    engine_->begin();
    Segment segment{0, n, 0};
    Model& model = engine_->model();
    Tensor h = model.trunk(engine_->ctx(), Batch{ids, {&segment, 1}, {}, nullptr});
    Tensor logits = ops::linear(engine_->ctx(), model.final_norm(engine_->ctx(), h), model.head());
    double sum = 0;
    for (int64_t i = n / 2; i < n - 1; ++i) {
      const float* row = logits.row<float>(i);
      double total = 0;
      for (int64_t v = 0; v < logits.cols(); ++v) total += std::exp(static_cast<double>(row[v]));
      sum += std::log(total) - static_cast<double>(row[ids[static_cast<size_t>(i) + 1]]);
    }
    return sum / static_cast<double>(n - 1 - n / 2);
  }

  std::string text_, model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(PplTest, ScoresTheSecondHalfOfEachChunk) {
  Json found = json({"eval", "ppl", model_, dir_ / "text.txt", "--ctx", "31", "--numerics", "f32", "--quiet"});
  std::string text = text_.substr(0, text_.size() - 1);
  int32_t bos = engine_->adds_bos() ? engine_->bos_id() : -1;
  std::vector<int32_t> ids = engine_->tokenizer()->encode(text, {.parse_added = false});
  if (bos >= 0) ids.insert(ids.begin(), bos);
  size_t n = ids.size() / 31;
  ASSERT_GT(n, 3U);
  ASSERT_EQ(found["chunks"].size(), n);
  EXPECT_EQ(found["tokens_scored"], n * 15);
  double sum = 0;
  for (size_t c = 0; c < n; ++c) {
    auto begin = ids.begin() + static_cast<std::ptrdiff_t>(c * 31);
    double mean = plain_mean({begin, begin + 31}, bos);
    EXPECT_NEAR(found["chunks"][c].get<double>(), mean, 1e-5) << c;
    sum += mean;
  }
  EXPECT_NEAR(found["ppl"].get<double>() / std::exp(sum / static_cast<double>(n)), 1, 1e-5);
  Json other = json({"eval", "ppl", model_, dir_ / "text.txt", "--ctx", "31", "--numerics", "f32", "--threads", "1"});
  EXPECT_EQ(other, found);
}

TEST_F(PplTest, ABosTakesThePlaceOfEachChunksFirstToken) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 40; ++i) ids.push_back(3 + i * 7 % 50);
  Perplexity found = perplexity(engine_->ctx(), engine_->model(), ids, 20, 1);
  ASSERT_EQ(found.chunks.size(), 2U);
  EXPECT_EQ(found.tokens_scored(), 18);
  EXPECT_NEAR(found.chunks[1], plain_mean({ids.begin() + 20, ids.end()}, 1), 1e-5);
  Perplexity without = perplexity(engine_->ctx(), engine_->model(), ids, 20, -1);
  EXPECT_NE(without.chunks[1], found.chunks[1]);
}

TEST_F(PplTest, TooShortATextAndWrongContextsAreRefused) {
  write_file_atomic(dir_ / "short.txt", "Line 1");
  EXPECT_EQ(cli({"eval", "ppl", model_, dir_ / "short.txt", "--ctx", "64"}), 1);
  EXPECT_NE(error_.find("64"), std::string::npos) << error_;
  EXPECT_EQ(cli({"eval", "ppl", model_, dir_ / "text.txt", "--ctx", "2"}), 1);
  EXPECT_EQ(cli({"eval", "ppl", model_, dir_ / "text.txt", "--ctx", "0"}), 2);
  EXPECT_EQ(cli({"eval", "ppl", model_, dir_ / "none.txt"}), 1);
  write_file_atomic(dir_ / "long.txt", text_ + text_);
  EXPECT_EQ(cli({"eval", "ppl", model_, dir_ / "long.txt"}), 0) << error_;  // 512, as long as the model's context
}

}  // namespace
}  // namespace unha
