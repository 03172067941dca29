// SPDX-License-Identifier: Apache-2.0
#include "io/token_shards.h"

#include <gtest/gtest.h>

#include "io/faulty_file_system.h"
#include "io/test_dir.h"

namespace unha {
namespace {

const std::string kTokenizer = Sha256::of("tokenizer");

// A shard of three documents: text, a masked chat, an empty one.
std::string write_sample(const std::string& path, int64_t vocab = 1000, const std::string& tokenizer = kTokenizer) {
  TokenShardWriter writer(path, tokenizer, vocab);
  std::vector<int32_t> text = {1, 2, 999};
  std::vector<int32_t> chat = {5, 4, 3, 2, 1, 0, 7, 8, 9, 10};
  std::vector<uint8_t> mask = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0};
  writer.append({"books", DocumentKind::kText, text, {}, 11});
  writer.append({"chats", DocumentKind::kChat, chat, mask, 30});
  writer.append({"books", DocumentKind::kText, {}, {}, 0});
  EXPECT_EQ(writer.documents(), 3);
  EXPECT_EQ(writer.tokens(), 13);
  return writer.finish();
}

TEST(TokenShards, DocumentsAreReadBack) {
  TestDir dir;
  for (int64_t vocab : {int64_t{1000}, int64_t{65536}, int64_t{65537}, int64_t{1} << 30}) {
    write_sample(dir / "a.shard", vocab);
    TokenShards shards = TokenShards::open(dir / "a.shard");
    EXPECT_EQ(shards.documents(), 3);
    EXPECT_EQ(shards.tokens(), 13);
    EXPECT_EQ(shards.text_bytes(), 41);
    EXPECT_EQ(shards.sources(), (std::vector<std::string>{"books", "chats"}));
    EXPECT_EQ(shards.document(0).tokens, 3);
    EXPECT_EQ(shards.document(0).text_bytes, 11);
    EXPECT_FALSE(shards.document(0).masked);
    EXPECT_EQ(shards.document(1).kind, DocumentKind::kChat);
    EXPECT_EQ(shards.document(1).source, 1);
    EXPECT_TRUE(shards.document(1).masked);
    EXPECT_EQ(shards.document(2).tokens, 0);
    std::vector<int32_t> ids(20, -1);
    EXPECT_EQ(shards.copy_ids(1, 2, 20, ids.data()), 8);
    EXPECT_EQ(std::vector<int32_t>(ids.begin(), ids.begin() + 9), (std::vector<int32_t>{3, 2, 1, 0, 7, 8, 9, 10, -1}));
    EXPECT_EQ(shards.copy_ids(0, 1, 1, ids.data()), 1);
    EXPECT_EQ(ids[0], 2);
    EXPECT_EQ(shards.copy_ids(2, 0, 5, ids.data()), 0);
    std::vector<uint8_t> mask(20, 9);
    EXPECT_EQ(shards.copy_mask(1, 1, 20, mask.data()), 9);
    EXPECT_EQ(std::vector<uint8_t>(mask.begin(), mask.begin() + 10),
              (std::vector<uint8_t>{0, 1, 1, 0, 0, 0, 0, 1, 0, 9}));
    EXPECT_EQ(shards.copy_mask(0, 0, 3, mask.data()), 3);
    EXPECT_EQ(mask[0] + mask[1] + mask[2], 3);
    shards.verify();
  }
}

TEST(TokenShards, TheShardsOfAFolderAreOneListInOrderOfName) {
  TestDir dir;
  int32_t id = 42;
  for (const char* name : {"b", "c", "a"}) {
    TokenShardWriter writer(dir / (std::string(name) + ".shard"), kTokenizer, 100);
    if (name != std::string("b")) writer.append({name, DocumentKind::kText, std::span(&id, 1), {}, 1});
    if (name == std::string("c")) writer.append({"a", DocumentKind::kText, std::span(&id, 1), {}, 1});
    writer.finish();
    ++id;
  }
  write_file_atomic(dir / "notes.txt", "not a shard");
  TokenShards shards = TokenShards::open(dir.path());
  EXPECT_EQ(shards.documents(), 3);
  EXPECT_EQ(shards.sources(), (std::vector<std::string>{"a", "c"}));
  std::vector<int32_t> ids(3);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(shards.copy_ids(i, 0, 1, &ids[static_cast<size_t>(i)]), 1);
  EXPECT_EQ(ids, (std::vector<int32_t>{44, 43, 43}));
  EXPECT_EQ(shards.document(1).source, 1);
  EXPECT_EQ(shards.document(2).source, 0);
  TokenShards moved = std::move(shards);
  EXPECT_EQ(moved.documents(), 3);
}

TEST(TokenShards, EqualContentGivesEqualBytesAndDigests) {
  TestDir dir;
  std::string a = write_sample(dir / "a.shard");
  std::string b = write_sample(dir / "b.shard");
  EXPECT_EQ(a, b);
  EXPECT_EQ(read_file(dir / "a.shard"), read_file(dir / "b.shard"));
  EXPECT_EQ(TokenShards::open(dir / "a.shard").digest(), TokenShards::open(dir / "b.shard").digest());
  EXPECT_NE(write_sample(dir / "c.shard", 999 + 2), a);
}

TEST(TokenShards, AForeignTokenizerIsRefusedWithAHint) {
  TestDir dir;
  write_sample(dir / "a.shard");
  TokenShards shards = TokenShards::open(dir.path());
  shards.require_tokenizer(kTokenizer);
  expect_error(ErrorCode::kInvalidArgument, "build the corpus again",
               [&] { shards.require_tokenizer(Sha256::of("other")); });
  write_sample(dir / "b.shard", 1000, Sha256::of("other"));
  expect_error(ErrorCode::kInvalidArgument, "b.shard", [&] { TokenShards::open(dir.path()); });
}

TEST(TokenShards, EveryFlippedBitIsFound) {
  TestDir dir;
  write_sample(dir / "a.shard");
  std::string good = read_file(dir / "a.shard");
  for (size_t byte = 0; byte < good.size(); ++byte) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << (byte % 8)));
    write_file_atomic(dir / "b.shard", bad);
    try {
      TokenShards::open(dir / "b.shard").verify();
      ADD_FAILURE() << "byte " << byte;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported);
      EXPECT_NE(error.message().find("b.shard"), std::string::npos);
    }
  }
}

TEST(TokenShards, ATruncatedOrLongerShardIsRefused) {
  TestDir dir;
  write_sample(dir / "a.shard");
  std::string good = read_file(dir / "a.shard");
  for (size_t size = 0; size < good.size(); size += 3) {
    write_file_atomic(dir / "b.shard", good.substr(0, size));
    expect_error(ErrorCode::kCorrupt, "b.shard", [&] { TokenShards::open(dir / "b.shard"); });
  }
  write_file_atomic(dir / "b.shard", good + "x");
  expect_error(ErrorCode::kCorrupt, "b.shard", [&] { TokenShards::open(dir / "b.shard"); });
}

TEST(TokenShards, IdsAreCheckedAgainstTheVocabulary) {
  TestDir dir;
  for (int64_t vocab : {int64_t{1000}, int64_t{100'000}}) {
    write_sample(dir / "a.shard", vocab);
    TokenShards shards = TokenShards::open(dir.path());
    shards.validate(1000);
    expect_error(ErrorCode::kCorrupt, "token 2: expected an id below 999, found 999", [&] { shards.validate(999); });
  }
}

TEST(TokenShards, WhatIsNotThereIsNamed) {
  TestDir dir;
  expect_error(ErrorCode::kNotFound, "unha corpus build", [&] { TokenShards::open(dir.path()); });
  expect_error(ErrorCode::kNotFound, "none", [&] { TokenShards::open(dir / "none"); });
}

TEST(TokenShards, AFailureAtAnyStepLeavesNothing) {
  PosixFileSystem posix;
  std::vector<int32_t> ids(1000, 7);
  for (int64_t step = 0;; ++step) {
    ASSERT_LT(step, 30);
    TestDir dir;
    FaultyFileSystem fs(posix, {.fail_at = step, .error_number = ENOSPC});
    try {
      TokenShardWriter writer(fs, dir / "a.shard", kTokenizer, 100);
      writer.append({"s", DocumentKind::kText, ids, {}, 0});
      writer.finish();
      EXPECT_EQ(TokenShards::open(dir.path()).tokens(), 1000);
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResource);
      // Only the last step, the fsync of the folder, comes after the rename.
      EXPECT_TRUE(dir.entries() == 0 || TokenShards::open(dir.path()).tokens() == 1000);
    }
  }
}

}  // namespace
}  // namespace unha
