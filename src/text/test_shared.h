// SPDX-License-Identifier: Apache-2.0
// For tests: where the shared reference data lies, if it is there.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace unha {

inline std::filesystem::path shared_folder() {
  const char* set = std::getenv("UNHA_SHARED");
  return set ? std::filesystem::path(set) : std::filesystem::path(UNHA_SOURCE_DIR) / ".." / "shared";
}

}  // namespace unha
