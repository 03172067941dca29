// SPDX-License-Identifier: Apache-2.0
// For tests of commands: runs the command line in this process and keeps what it printed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/cli.h"
#include "base/json.h"
#include "io/test_dir.h"

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

}  // namespace unha
