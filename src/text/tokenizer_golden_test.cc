// SPDX-License-Identifier: Apache-2.0
// The golden rows of /work/shared/tokenizers: five forms of tokenizer.json, ids by Hugging Face tokenizers.
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "text/read_file.h"
#include "text/test_golden_rows.h"
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

  std::filesystem::path folder_;
  Json golden_;
};

TEST_P(TokenizerGolden, EncodesEveryRow) {
  Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.sha256(), golden_["sha256"]);
  EXPECT_GE(golden_["rows"].size(), 200u);
  RecordProperty("unicode_new_differing", check_encode_rows(tokenizer, golden_["rows"]));
}

TEST_P(TokenizerGolden, DecodesEveryRow) {
  EXPECT_GE(golden_["decode"].size(), 90u);
  check_decode_rows(Tokenizer::load(folder_), golden_["decode"]);
}

TEST_P(TokenizerGolden, StreamsEveryRow) {
  EXPECT_GE(golden_["stream"].size(), 30u);
  check_stream_rows(Tokenizer::load(folder_), golden_["stream"]);
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
