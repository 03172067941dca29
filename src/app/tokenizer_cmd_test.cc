// SPDX-License-Identifier: Apache-2.0
#include "app/tokenizer_cmd.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/cli.h"
#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "io/test_dir.h"

namespace unha {
namespace {

class TokenizerCmd : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream file(folder_ + "/text.txt", std::ios::binary);
    for (int i = 0; i < 200; ++i) file << "A line of text, number " << i << ", 한국어와 漢字.\n";
  }
  int cli(std::vector<std::string> words) {
    words.insert(words.begin(), "unha");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStderr();
    int code = run_cli(static_cast<int>(argv.size()), argv.data());
    error_ = testing::internal::GetCapturedStderr();
    return code;
  }
  Tokenizer trained() {
    EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/text.txt", "--vocab-size", "300", "--out", folder_ + "/out"}), 0);
    return Tokenizer::load(folder_ + "/out");
  }

  TestDir dir_;
  std::string folder_ = dir_.path();
  std::string error_;
};

TEST_F(TokenizerCmd, TrainsOnceAndRefusesToReplaceAnotherTokenizer) {
  Tokenizer tokenizer = trained();
  EXPECT_NE(error_.find("300 tokens"), std::string::npos) << error_;
  EXPECT_EQ(tokenizer.size(), 300);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/out/tokenizer_config.json"));
  std::string before = read_file(folder_ + "/out/tokenizer.json");
  trained();  // the same again is fine
  EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/text.txt", "--vocab-size", "290", "--out", folder_ + "/out"}), 1);
  EXPECT_NE(error_.find("another tokenizer"), std::string::npos) << error_;
  EXPECT_EQ(read_file(folder_ + "/out/tokenizer.json"), before);
}

TEST_F(TokenizerCmd, NamesWhatIsWrong) {
  EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/none.txt", "--vocab-size", "300", "--out", folder_ + "/o"}), 1);
  EXPECT_NE(error_.find("none.txt"), std::string::npos) << error_;
  EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/text.txt", "--vocab-size", "10", "--out", folder_ + "/o"}), 2);
  std::ofstream(folder_ + "/bad.txt", std::ios::binary) << "ab\xff";
  EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/bad.txt", "--vocab-size", "300", "--out", folder_ + "/o"}), 1);
  EXPECT_NE(error_.find("bad.txt: not valid UTF-8 at byte 2"), std::string::npos) << error_;
  std::ofstream(folder_ + "/empty.txt");
  EXPECT_EQ(cli({"tokenizer", "train", folder_ + "/empty.txt", "--vocab-size", "300", "--out", folder_ + "/o"}), 1);
  EXPECT_EQ(cli({"tokenizer", "encode", folder_}), 1);
  EXPECT_NE(error_.find("tokenizer.json"), std::string::npos) << error_;
  EXPECT_EQ(cli({"tokenizer"}), 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/o"));
}

TEST_F(TokenizerCmd, EncodesAndDecodesStreams) {
  Tokenizer tokenizer = trained();
  std::istringstream text("<user>한 line\n");
  std::ostringstream ids;
  tokenizer_encode(tokenizer, text, ids);
  EXPECT_EQ(ids.str().substr(0, 2), "7 ");
  EXPECT_EQ(ids.str().back(), '\n');
  std::istringstream again("  " + ids.str());
  std::ostringstream bytes;
  tokenizer_decode(tokenizer, again, bytes);
  EXPECT_EQ(bytes.str(), "<user>한 line\n");
  for (const char* bad : {"1 two", "-1", "99999999999", "1.5", "1,2"}) {
    std::istringstream in(bad);
    EXPECT_THROW(tokenizer_decode(tokenizer, in, bytes), Error) << bad;
  }
}

TEST_F(TokenizerCmd, AnswersRowsInOrderAndReportsBadOnes) {
  Tokenizer tokenizer = trained();
  std::istringstream rows(
      "{\"text\": \"<user>\", \"group\": \"x\"}\n"
      "{\"text\": \"<user>\", \"parse_added\": false, \"add_special\": true}\n"
      "{\"decode\": [7, 40, 9999], \"skip_special\": true, \"text\": \"ignored\"}\n"
      "not json\n"
      "\n"
      "{\"stream\": [40, 8]}\n"
      "{\"decode\": [-1]}\n"
      "{\"text\": 3}\n"
      "{}\n"
      "{\"text\": \"\"}");
  std::ostringstream out;
  EXPECT_EQ(tokenizer_rows(tokenizer, rows, out), 1);
  std::vector<Json> answers;
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) answers.push_back(parse_json(line, "answer"));
  ASSERT_EQ(answers.size(), 10u);
  EXPECT_EQ(answers[0].dump(), "{\"ids\":[7]}");
  EXPECT_GT(answers[1]["ids"].size(), 1u);
  EXPECT_EQ(answers[2].dump(), "{\"text\":\"=\",\"bytes\":\"PQ==\"}");
  EXPECT_EQ(answers[5].dump(), "{\"texts\":[\"=\",\"=<assistant>\"],\"final\":\"=<assistant>\"}");
  for (int bad : {3, 4, 6, 7, 8}) EXPECT_TRUE(answers[bad].contains("error")) << bad;
  EXPECT_EQ(answers[9].dump(), "{\"ids\":[]}");
}

}  // namespace
}  // namespace unha
