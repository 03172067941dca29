// SPDX-License-Identifier: Apache-2.0
#include "text/canonical_ids.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "text/read_file.h"
#include "text/test_shared.h"

namespace unha {
namespace {

TEST(CanonicalText, FoldsAsTheSpecificationTabulates) {
  EXPECT_EQ(canonical_text("Ｆｏｏ"), "foo");
  EXPECT_EQ(canonical_text("Ünïcode  ABC"), "unicode abc");
  EXPECT_EQ(canonical_text(" \n\t"), " ");
  EXPECT_EQ(canonical_text("\u3000"), " ");
  EXPECT_EQ(canonical_text("\u00a0"), " ");
  EXPECT_EQ(canonical_text("ΑΣ"), "ασ");
  EXPECT_EQ(canonical_text("İ"), "i");
  EXPECT_EQ(canonical_text("ﬃ"), "ffi");
  EXPECT_EQ(canonical_text("①"), "1");
  EXPECT_EQ(canonical_text("½"), "1\u20442");
  EXPECT_EQ(canonical_text("\u0301"), "");
  EXPECT_EQ(canonical_text("\u200b"), "\u200b");
  EXPECT_EQ(canonical_text("\u304b\u3099"), "\u304b");
  EXPECT_EQ(canonical_text("\ud55c"), "\u1112\u1161\u11ab");
  EXPECT_EQ(canonical_text("\v"), "");
  EXPECT_EQ(canonical_text("A \n b"), "a b");
  EXPECT_EQ(canonical_text("Å"), "a");
  EXPECT_EQ(canonical_text(" The"), "the");
  EXPECT_EQ(canonical_text(""), "");
}

TEST(CanonicalIds, EqualTheMapsOfTheGoldenCases) {
  for (const char* name : {"engram-paper-hc1", "engram-paper-hc4"}) {
    std::filesystem::path folder = shared_folder() / "goldens" / name;
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
    Json golden = parse_json(read_whole_file(folder / "golden.json"), "golden.json");
    CanonicalIds ids = make_canonical_ids(Tokenizer::load(folder));
    const Json& expected = golden["vocabulary"];
    EXPECT_EQ(static_cast<int64_t>(ids.map.size()), expected["raw"]);
    EXPECT_EQ(ids.count, expected["compressed"]);
    EXPECT_EQ(ids.map[expected["pad_raw"].get<size_t>()], expected["pad_compressed"]);
    EXPECT_EQ(ids.sha256, expected["sha256_of_int32_map"]);
  }
}

TEST(CanonicalIds, EqualDeepSeekV3sMapWhereItsTokenizerIsAtHand) {
  const char* path = std::getenv("UNHA_DEEPSEEK_V3_TOKENIZER");
  if (!path) GTEST_SKIP() << "UNHA_DEEPSEEK_V3_TOKENIZER does not name DeepSeek-V3's tokenizer.json";
  CanonicalIds ids = make_canonical_ids(Tokenizer::load(path));
  EXPECT_EQ(ids.count, 98627);
  EXPECT_EQ(ids.sha256, "cd48cb62d9cca1baaf08d9e7795ad3d4c22b6c56f0f070178b9e3a52694ea930");
}

}  // namespace
}  // namespace unha
