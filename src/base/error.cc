// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace unha {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "unha: internal error at %s:%d: %s: %s\n", file, line, condition, message.c_str());
  std::abort();
}

}  // namespace unha
