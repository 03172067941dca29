// SPDX-License-Identifier: Apache-2.0
#include "app/version.h"

#include <fmt/format.h>

#include <fstream>

#include "app/global_options.h"
#include "base/threads.h"
#include "unha_commit.h"  // made at every build by cmake/commit.cmake

namespace unha {

BuildInfo build_info() {
#if defined(__clang__)
  std::string compiler = fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  std::string compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  return {UNHA_VERSION, UNHA_COMMIT, compiler};
}

std::string version_text() {
  BuildInfo build = build_info();
  return fmt::format("unha {}\ncommit: {}\ncompiler: {}\ntiers: {}\nclasses: {}", build.version, build.commit,
                     build.compiler, tier_list(), class_list());
}

std::string machine_text() {
  std::string model = "unknown CPU";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      model = line.substr(colon + 2);
      break;
    }
  }
  return fmt::format("{}, {} threads", model, Threads::hardware_threads());
}

}  // namespace unha
