// SPDX-License-Identifier: Apache-2.0
#include "corpus/encode.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "corpus/eval_set.h"
#include "corpus/record.h"
#include "corpus/stats.h"
#include "io/file.h"
#include "io/test_dir.h"
#include "io/token_shards.h"
#include "text/bpe_trainer.h"

namespace unha::corpus {
namespace {

void write_input(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A corpus of 40 texts (twice each), 15 sums and 10 talks, and a tokenizer trained on it.
class Encode : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_ / "texts");
    for (int i = 0; i < 40; ++i) {
      write_input(dir_ / fmt::format("texts/{}.txt", i),
                  fmt::format("Text {} has <eos> and <think> in it.\n\nIt ends {} times.", i, i * 7));
    }
    Json recipe = parse_json(R"({"name":"e","seed":2,"heldout_percent":10,"sources":[
      {"name":"texts","kind":"folder","path":"texts","repeat":2},
      {"name":"sums","kind":"generate","task":"addition","count":15,"eval":3},
      {"name":"talk","kind":"smalltalk","count":10}]})",
                             "recipe");
    BuildOptions options;
    options.out = dir_ / "out";
    result_ = build_corpus(parse_recipe(recipe, "recipe", dir_.path()), options);
    BpeTrainer trainer(threads_);
    for (const char* name : {"texts", "sums", "talk"}) {
      trainer.add_text(read_file(dir_ / fmt::format("out/text/{}.txt", name)), name);
    }
    json_ = trainer.train(320);
  }
  Tokenizer tokenizer() { return Tokenizer::parse(json_, "test"); }

  TestDir dir_;
  Threads threads_{2};
  BuildResult result_;
  std::string json_;
};

TEST_F(Encode, TextsAreDocumentsOfPlainTokensBetweenBosAndEos) {
  Tokenizer t = tokenizer();
  std::vector<EncodedSource> sources = encode_corpus(dir_ / "out", t, threads_, nullptr);
  ASSERT_EQ(sources.size(), 3u);
  TokenShards shards = TokenShards::open(dir_ / "out/train/texts.shard");
  std::vector<std::string> documents = CorpusRecord::open(dir_ / "out").documents("texts");
  ASSERT_EQ(shards.documents(), 2 * static_cast<int64_t>(documents.size()));
  EXPECT_EQ(shards.tokens(), sources[0].tokens);
  EXPECT_EQ(shards.tokenizer_sha256(), t.sha256());
  for (int64_t i = 0; i < shards.documents(); ++i) {
    std::vector<int32_t> ids(static_cast<size_t>(shards.document(i).tokens));
    shards.copy_ids(i, 0, shards.document(i).tokens, ids.data());
    EXPECT_EQ(ids.front(), *t.id_of("<bos>"));
    EXPECT_EQ(ids.back(), *t.id_of("<eos>"));
    std::vector<int32_t> inner(ids.begin() + 1, ids.end() - 1);
    for (int32_t id : inner) EXPECT_FALSE(t.is_added(id));
    const std::string& text = documents[static_cast<size_t>(i) % documents.size()];
    EXPECT_EQ(t.decode_bytes(inner), text);
    EXPECT_EQ(shards.document(i).text_bytes, static_cast<int64_t>(text.size()));
    EXPECT_FALSE(shards.document(i).masked);
  }
}

TEST_F(Encode, ConversationsCarryTheLossOnRepliesOnly) {
  Tokenizer t = tokenizer();
  encode_corpus(dir_ / "out", t, threads_, nullptr);
  TokenShards shards = TokenShards::open(dir_ / "out/train/sums.shard");
  ASSERT_EQ(shards.documents(), 15);
  for (int64_t i = 0; i < 15; ++i) {
    auto n = static_cast<size_t>(shards.document(i).tokens);
    std::vector<int32_t> ids(n);
    std::vector<uint8_t> mask(n);
    shards.copy_ids(i, 0, static_cast<int64_t>(n), ids.data());
    shards.copy_mask(i, 0, static_cast<int64_t>(n), mask.data());
    EXPECT_EQ(shards.document(i).kind, DocumentKind::kChat);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), *t.id_of("<think>")), 1);
    auto assistant = std::find(ids.begin(), ids.end(), *t.id_of("<assistant>")) - ids.begin();
    for (size_t k = 0; k < n; ++k) EXPECT_EQ(mask[k], static_cast<int64_t>(k) > assistant ? 1 : 0);
  }
}

TEST_F(Encode, ShardsDoNotDependOnThreadsAndReplaceTheEarlierOnes) {
  Tokenizer t = tokenizer();
  encode_corpus(dir_ / "out", t, threads_, nullptr);
  std::string digest = TokenShards::open(dir_ / "out/train").digest();
  Threads one(1);
  encode_corpus(dir_ / "out", t, one, nullptr);
  EXPECT_EQ(TokenShards::open(dir_ / "out/train").digest(), digest);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/train.new"));
}

TEST_F(Encode, RefusesChangedFilesAndForeignFolders) {
  write_input(dir_ / "out/text/texts.txt", "Something else.");
  expect_error(ErrorCode::kCorrupt, "texts.txt", [&] { encode_corpus(dir_ / "out", tokenizer(), threads_, nullptr); });
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/train"));
  expect_error(ErrorCode::kNotFound, "unha corpus build",
               [&] { encode_corpus(dir_ / "texts", tokenizer(), threads_, nullptr); });
  write_input(dir_ / "out/corpus.json", "{\"format\":\"unha-corpus\"}");
  expect_error(ErrorCode::kInvalidArgument, "version", [&] { CorpusRecord::open(dir_ / "out"); });
}

TEST_F(Encode, StatsCountTokensAndOverlap) {
  CorpusStats plain = corpus_stats(dir_ / "out");
  EXPECT_FALSE(plain.total.tokens);
  EXPECT_EQ(plain.tokenizer, "");
  std::vector<EncodedSource> sources = encode_corpus(dir_ / "out", tokenizer(), threads_, nullptr);
  CorpusStats stats = corpus_stats(dir_ / "out");
  ASSERT_EQ(stats.sources.size(), 3u);
  EXPECT_EQ(stats.sources[0].documents, result_.sources[0].documents);
  EXPECT_EQ(stats.sources[0].tokens, sources[0].tokens / 2);
  EXPECT_EQ(stats.trained_tokens, sources[0].tokens + sources[1].tokens + sources[2].tokens);
  EXPECT_GT(*stats.total.bytes_per_token, 1.0);
  EXPECT_EQ(stats.total.documents, stats.sources[0].documents + 25);
  EXPECT_EQ(stats.sources[1].eval_questions, 6);
  EXPECT_EQ(stats.total.overlap_13.value_or(0.0), 0.0);
}

TEST_F(Encode, EvalSetsAreReadBackAndJudgedToTheLetter) {
  std::vector<EvalItem> items = read_eval_set(dir_ / "out/eval/sums.jsonl");
  ASSERT_EQ(items.size(), 6u);
  EvalTally tally;
  for (const EvalItem& item : items) {
    EXPECT_TRUE(verify(item, "<think>\nx\n</think>\n" + item.accepted[0]));
    EXPECT_FALSE(verify(item, item.accepted[0] + "."));
    EXPECT_FALSE(verify(item, "The result is " + item.accepted[0]));
    tally.add(item, item.in_range);
  }
  EXPECT_GE(tally.cells().size(), 2u);
  EvalItem forged = items[0];
  forged.accepted = {"12345678"};
  EXPECT_FALSE(verify(forged, "12345678"));
  write_input(dir_ / "bad.jsonl", eval_row(items[0]) + "{\"task\":\"addition\",\"question\":\"?\"}\n");
  expect_error(ErrorCode::kInvalidArgument, "bad.jsonl row 2", [&] { read_eval_set(dir_ / "bad.jsonl"); });
  EvalItem fact{"opposite", "Name the opposite of big.", {"small", "little"}, true, "trained word", {}};
  EXPECT_TRUE(verify(fact, "little"));
  EXPECT_FALSE(verify(fact, "a little"));
}

}  // namespace
}  // namespace unha::corpus
