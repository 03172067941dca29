// SPDX-License-Identifier: Apache-2.0
// The golden rows of /work/shared/tokenizers: five forms of tokenizer.json, ids by Hugging Face tokenizers.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "text/base64.h"
#include "text/read_file.h"
#include "text/stream_decoder.h"
#include "text/test_shared.h"
#include "text/tokenizer.h"

namespace unha {
namespace {

class TokenizerGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = shared_folder() / "tokenizers" / GetParam();
    if (!std::filesystem::exists(folder_ / "golden.json")) GTEST_SKIP() << folder_ << " is absent";
    golden_ = parse_json(read_whole_file(folder_ / "golden.json"), "golden.json");
  }
  static bool flag(const Json& row, const char* key, bool fallback) {
    return row.contains(key) ? row[key].get<bool>() : fallback;
  }

  std::filesystem::path folder_;
  Json golden_;
};

TEST_P(TokenizerGolden, EncodesEveryRow) {
  Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.sha256(), golden_["sha256"]);
  int new_unicode = 0;
  for (const Json& row : golden_["rows"]) {
    auto text = row["text"].get<std::string>();
    EncodeOptions options{flag(row, "parse_added", true), flag(row, "add_special", false)};
    auto ids = tokenizer.encode(text, options);
    auto expected = row["ids"].get<std::vector<int32_t>>();
    if (row["group"] == "unicode_new") {
      new_unicode += ids != expected;  // may differ: our Unicode tables are older
      continue;
    }
    EXPECT_EQ(ids, expected) << row["group"] << ": " << row["text"].dump(-1, ' ', true).substr(0, 200);
    if (options.parse_added) {
      EXPECT_EQ(tokenizer.encode(text, options), ids) << "the second time";
    }
  }
  RecordProperty("unicode_new_differing", new_unicode);
}

TEST_P(TokenizerGolden, DecodesEveryRow) {
  Tokenizer tokenizer = Tokenizer::load(folder_);
  for (const Json& row : golden_["decode"]) {
    auto ids = row["decode"].get<std::vector<int32_t>>();
    bool skip = flag(row, "skip_special", false);
    EXPECT_EQ(tokenizer.decode(ids, skip), row["text"]) << row.dump(-1, ' ', true);
    EXPECT_EQ(base64(tokenizer.decode_bytes(ids, skip)), row["bytes"]) << row.dump(-1, ' ', true);
  }
}

TEST_P(TokenizerGolden, StreamsEveryRow) {
  Tokenizer tokenizer = Tokenizer::load(folder_);
  for (const Json& row : golden_["stream"]) {
    StreamDecoder decoder(tokenizer, flag(row, "skip_special", false));
    std::string shown;
    auto texts = row["texts"].get<std::vector<std::string>>();
    auto ids = row["stream"].get<std::vector<int32_t>>();
    for (size_t k = 0; k < ids.size(); ++k) {
      shown += decoder.push(ids[k]);
      EXPECT_EQ(shown, texts[k]) << row.dump(-1, ' ', true) << " after id " << k;
    }
    EXPECT_EQ(shown + decoder.finish(), row["final"]) << row.dump(-1, ' ', true);
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, TokenizerGolden,
                         testing::Values("tiny-bpe", "v3-form", "v2-form", "qwen2-form", "llama3-form"),
                         [](const auto& form) {
                           std::string name = form.param;
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace unha
