// SPDX-License-Identifier: Apache-2.0
// For tests: a folder that is gone afterwards, and what an expected Error says.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace unha {

class TestDir {
 public:
  TestDir() {
    std::string name = (std::filesystem::temp_directory_path() / "unha-test-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TestDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  int64_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::string path_;
};

// Expects an Error of that code whose message or hint contains `part`.
inline void expect_error(ErrorCode code, const std::string& part, const std::function<void()>& run) {
  try {
    run();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_NE((error.message() + " " + error.hint()).find(part), std::string::npos) << error.message();
  }
}

// Where /work/shared is, or "" if it is not there.
inline std::string shared_dir() {
  const char* given = std::getenv("UNHA_SHARED");
  std::string path = given != nullptr ? given : UNHA_SOURCE_DIR "/../shared";
  return std::filesystem::is_directory(path) ? path : "";
}

}  // namespace unha
