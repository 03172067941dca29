// SPDX-License-Identifier: Apache-2.0
#include "app/corpus_cmd.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/cli.h"
#include "base/json.h"
#include "io/file.h"
#include "io/test_dir.h"

namespace unha {
namespace {

class CorpusCmd : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_ / "texts");
    for (int i = 0; i < 30; ++i)
      write("texts/" + std::to_string(i) + ".txt", "Story number " + std::to_string(i) + " is short.\n");
    write("recipe.json",
          R"({"name":"mine","heldout_percent":10,"sources":[{"name":"stories","kind":"folder","path":"texts"},
                             {"name":"sums","kind":"generate","task":"addition","count":20,"eval":2}]})");
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  int cli(std::vector<std::string> words) {
    words.insert(words.begin(), "unha");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    int code = run_cli(static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    error_ = testing::internal::GetCapturedStderr();
    return code;
  }

  TestDir dir_;
  std::string out_, error_;
};

TEST_F(CorpusCmd, FromAFolderOfTextsToTokenShards) {
  ASSERT_EQ(cli({"corpus", "build", dir_ / "recipe.json", "--out", dir_ / "out"}), 0) << error_;
  EXPECT_NE(error_.find("20 conversations"), std::string::npos) << error_;
  EXPECT_EQ(out_, "");
  ASSERT_EQ(cli({"tokenizer", "train", dir_ / "out/text/stories.txt", dir_ / "out/text/sums.txt", "--vocab-size", "300",
                 "--out", dir_ / "tok"}),
            0);
  ASSERT_EQ(cli({"corpus", "encode", dir_ / "out", "--tokenizer", dir_ / "tok", "--quiet"}), 0) << error_;
  EXPECT_EQ(error_, "");
  ASSERT_EQ(cli({"corpus", "stats", dir_ / "out", "--json"}), 0);
  Json stats = parse_json(out_, "stats");
  EXPECT_EQ(stats["name"], "mine");
  EXPECT_EQ(stats["sources"].size(), 2u);
  EXPECT_GT(stats["total"]["tokens"].get<int64_t>(), 100);
  EXPECT_EQ(stats["sources"][0]["documents"].get<int64_t>() + stats["sources"][0]["heldout_documents"].get<int64_t>(),
            30);
  ASSERT_EQ(cli({"corpus", "stats", dir_ / "out"}), 0);
  EXPECT_NE(out_.find("stories"), std::string::npos);
  std::string digest = stats["digest"];
  ASSERT_EQ(cli({"corpus", "build", dir_ / "recipe.json", "--out", dir_ / "out", "--tokenizer", dir_ / "tok"}), 0);
  ASSERT_EQ(cli({"corpus", "stats", dir_ / "out", "--json"}), 0);
  EXPECT_EQ(parse_json(out_, "stats")["digest"], digest);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/train/stories.shard"));
}

TEST_F(CorpusCmd, NamesWhatIsWrongInOneLine) {
  write("bad.json", R"({"name":"x","sources":[{"name":"t","kind":"folder","path":"texts","weight":2}]})");
  EXPECT_EQ(cli({"corpus", "build", dir_ / "bad.json", "--out", dir_ / "o"}), 1);
  EXPECT_EQ(error_.find("unha: error: "), 0u) << error_;
  EXPECT_NE(error_.find("weight"), std::string::npos) << error_;
  EXPECT_EQ(std::count(error_.begin(), error_.end(), '\n'), 1);
  EXPECT_EQ(cli({"corpus", "build", dir_ / "none.json", "--out", dir_ / "o"}), 1);
  EXPECT_EQ(cli({"corpus", "stats", dir_ / "texts"}), 1);
  EXPECT_NE(error_.find("corpus.json"), std::string::npos) << error_;
  EXPECT_EQ(cli({"corpus", "build", dir_ / "recipe.json"}), 2);
  EXPECT_EQ(cli({"corpus"}), 2);
}

}  // namespace
}  // namespace unha
