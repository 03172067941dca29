// SPDX-License-Identifier: Apache-2.0
// For tests of commands: runs the command line in this process and keeps what it printed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/cli.h"
#include "base/json.h"
#include "io/test_dir.h"
#include "tiny_model.h"

namespace unha {

class CliTest : public testing::Test {
 protected:
  int cli(std::vector<std::string> words) {
    words.insert(words.begin(), "unha");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = run_cli(static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    error_ = testing::internal::GetCapturedStderr();
    return code;
  }
  Json json(std::vector<std::string> words) {
    words.push_back("--json");
    EXPECT_EQ(cli(words), 0) << error_;
    return parse_json(out_, "output");
  }

  TestDir dir_;
  std::string out_, error_;
};

// With a tiny random model and a tokenizer of its own in model_.
class TinyModelCliTest : public CliTest {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 200; ++i) text += "Line " + std::to_string(i) + " of a text, with 한국어 in it.\n";
    write_file_atomic(dir_ / "text.txt", text);
    model_ = dir_ / "model";
    ASSERT_EQ(cli({"tokenizer", "train", dir_ / "text.txt", "--vocab-size", "300", "--out", model_}), 0) << error_;
    write_tiny_model(model_, 320);  // longer than the tokenizer: padding
  }

  std::string model_;
};

}  // namespace unha
