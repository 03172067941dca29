// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/threads.h"

namespace unha {
namespace {

TEST(Threads, EveryItemIsVisitedOnceForAnyCountAndGrain) {
  for (int count : {1, 2, 3}) {
    Threads threads(count);
    for (int64_t n : {0, 1, 7, 64, 1000}) {
      for (int64_t grain : {1, 3, 64}) {
        std::vector<int> seen(static_cast<size_t>(n), 0);
        threads.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_EQ(begin % grain, 0);
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        EXPECT_EQ(seen, std::vector<int>(static_cast<size_t>(n), 1));
      }
    }
  }
}

TEST(Threads, NestedCallsRunSerially) {
  Threads threads(2);
  std::atomic<int> total{0};
  threads.parallel_for(4, 1, [&](int64_t, int64_t) { threads.parallel_for(10, 1, [&](int64_t, int64_t) { ++total; }); });
  EXPECT_EQ(total, 40);
}

TEST(Arena, RewindReusesMemoryAndKeepsAlignment) {
  Arena arena(1024);
  auto* a = arena.allocate<float>(10);
  auto mark = arena.mark();
  auto* b = arena.allocate<float>(300);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 64, 0u);
  size_t reserved = arena.reserved_bytes();
  arena.rewind(mark);
  EXPECT_EQ(arena.allocate<float>(300), b);
  EXPECT_EQ(arena.reserved_bytes(), reserved);
}

TEST(Arena, LimitIsAnError) {
  Arena arena(1024, 4096);
  EXPECT_THROW(arena.allocate(100000), Error);
}

// Known-answer vectors of the Philox paper's reference implementation (Random123): counter and key zero, and all ones.
TEST(Rng, PhiloxKnownAnswer) {
  Rng zero(0, static_cast<Purpose>(0), 0);
  EXPECT_EQ(zero.at(0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Rng, BelowIsInRangeAndStreamsDiffer) {
  Rng a(1, Purpose::kTest, 0), b(1, Purpose::kTest, 1), c(1, Purpose::kInit, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(a.below(7), 7u);
  EXPECT_NE(b.at(0), c.at(0));
  EXPECT_NE(Rng(1, Purpose::kTest, 0).at(0), b.at(0));
}

TEST(Sha256, EmptyString) {
  EXPECT_EQ(Sha256::of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Json, KeepsOrderAndReadsLargeObjectsInLinearTime) {
  std::string text = "{\"z\": [1, -2, 3.5, true, null, \"s\", {}, []], \"vocab\": {";
  for (int i = 0; i < 100000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + std::to_string(i);
  Json json = parse_json(text + "}, \"a\": {\"b\": {\"c\": 1}}}", "t");
  EXPECT_EQ(json["z"].dump(), "[1,-2,3.5,true,null,\"s\",{},[]]");
  EXPECT_EQ(json["vocab"].size(), 100000u);
  EXPECT_EQ(json["vocab"].back(), 99999);
  EXPECT_EQ(json["a"].dump(), "{\"b\":{\"c\":1}}");
  EXPECT_EQ(json.begin().key(), "z");
  EXPECT_EQ(parse_json("3", "t"), 3);
  EXPECT_THROW(parse_json("", "t"), Error);
  EXPECT_THROW(parse_json("[1,", "t"), Error);
  EXPECT_THROW(parse_json("{\"a\":{\"b\":1,\"b\":1}}", "t"), Error);
}

TEST(Json, RefusesWhatItShould) {
  EXPECT_THROW(parse_json("{\"a\":1,\"a\":2}", "t"), Error);
  EXPECT_THROW(parse_json("{\"a\":1} x", "t"), Error);
  EXPECT_THROW(parse_json(std::string("{\"a\":1}\0 x", 10), "t"), Error);
  EXPECT_THROW(parse_json(std::string(100, '['), "t"), Error);
  EXPECT_THROW(parse_json("\"\xff\"", "t"), Error);
  Json json = parse_json("{\"n\":3,\"s\":\"x\",\"extra\":null}", "t");
  JsonReader reader(json, "t");
  EXPECT_EQ(reader.require<int64_t>("n"), 3);
  EXPECT_EQ(reader.get<std::string>("s", ""), "x");
  EXPECT_THROW(reader.require<std::string>("n"), Error);
  EXPECT_THROW(reader.require_int("n", 4, 5), Error);
  EXPECT_THROW(reader.finish(), Error);
  reader.ignore({"extra"});
  reader.finish();
}

}  // namespace
}  // namespace unha
