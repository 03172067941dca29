// SPDX-License-Identifier: Apache-2.0
#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace unha {
namespace {

std::string sample_text() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text +=
        "The boat number " + std::to_string(i * 37 % 1000) + " went through the lock; le même bateau, 東京の運河。\n";
    if (i % 7 == 0) text += "\n    indented <user> code();\n";
  }
  return text;
}

TEST(BpeTrainer, GivesEqualBytesForAnyThreadsAndPieces) {
  std::string text = sample_text();
  Threads one(1), three(3);
  BpeTrainer whole(one), pieces(three);
  whole.add_text(text, "whole");
  size_t cut = text.find('\n', text.size() / 2) + 1;
  pieces.add_text(std::string_view(text).substr(cut), "second half");
  pieces.add_text(std::string_view(text).substr(0, cut), "first half");
  EXPECT_EQ(whole.bytes(), pieces.bytes());
  EXPECT_EQ(whole.distinct_words(), pieces.distinct_words());
  EXPECT_EQ(whole.train(400), pieces.train(400));
}

TEST(BpeTrainer, TrainedFileLoadsAndRoundTrips) {
  std::string text = sample_text();
  Threads threads(2);
  BpeTrainer trainer(threads);
  trainer.add_text(text, "sample");
  Tokenizer tokenizer = Tokenizer::parse(trainer.train(330), "trained");
  EXPECT_EQ(tokenizer.size(), 330);
  EXPECT_EQ(tokenizer.id_of("<bos>"), 0);
  EXPECT_EQ(tokenizer.id_of("<fim_end>"), 11);
  EXPECT_TRUE(tokenizer.is_special(7));
  EXPECT_FALSE(tokenizer.is_special(3));
  auto ids = tokenizer.encode(text, {.parse_added = false});
  EXPECT_EQ(tokenizer.decode(ids), text);
  for (int32_t id : ids) EXPECT_GE(id, 12) << "text became a control token";
  EXPECT_LT(ids.size(), text.size() / 2);
  EXPECT_EQ(tokenizer.encode("<user>12</think>"), (std::vector<int32_t>{7, 12 + 16, 12 + 17, 4}));
}

TEST(BpeTrainer, StopsWhenNoPairOccursTwice) {
  Threads threads(1);
  BpeTrainer trainer(threads);
  trainer.add_text("abab cd\n", "t");
  Json json = parse_json(trainer.train(1000), "trained");
  EXPECT_EQ(json["model"]["merges"], Json({"a b"}));
}

TEST(BpeTrainer, RefusesWhatItCannotTrainOn) {
  Threads threads(1);
  BpeTrainer trainer(threads);
  EXPECT_THROW(trainer.train(1000), Error);  // no text
  EXPECT_THROW(trainer.add_text("ab\xff", "file.txt"), Error);
  trainer.add_text("some text", "t");
  EXPECT_THROW(trainer.train(267), Error);
  EXPECT_NO_THROW(trainer.train(268));
}

}  // namespace
}  // namespace unha
