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

TEST(CanonicalIds, EqualTheMapOfTheV41Case) {
  std::filesystem::path folder = shared_folder() / "goldens" / "v41";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  CanonicalIds ids = make_canonical_ids(Tokenizer::load(folder));
  // SHA-256 of the tensor compressed_map in golden.safetensors.
  EXPECT_EQ(ids.sha256, "c6c0489c033f84190b8e4a9d6cbce2beeba41e3f8488c1c5c9835459e6874c46");
}

}  // namespace
}  // namespace unha
