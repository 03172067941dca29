// SPDX-License-Identifier: Apache-2.0
// For tests: a folder that is gone afterwards (test_folder.h), what an expected Error says, where ../shared is.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "io/test_folder.h"

namespace unha {

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
