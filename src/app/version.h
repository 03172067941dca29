// SPDX-License-Identifier: Apache-2.0
// Which build this is; logs, bench and --version carry it.
#pragma once

#include <string>

namespace unha {

struct BuildInfo {
  std::string version;   // 0.1.0
  std::string commit;    // 12 hex digits, "-dirty" if the tree had changes; "unknown" outside git
  std::string compiler;  // g++ 12.2.0
};
BuildInfo build_info();

// What `unha --version` prints: build, and the tiers and numerics classes of this machine.
std::string version_text();

// "AMD EPYC 9R14, 2 threads": for logs of measurements.
std::string machine_text();

}  // namespace unha
