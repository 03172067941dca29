// SPDX-License-Identifier: Apache-2.0
// DIR/log.jsonl: one line per start, step, held-out measurement and checkpoint. Everything that may differ between
// equal runs (time, host, speed) is here and nowhere else.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "io/file.h"

namespace unha {

class RunLog {
 public:
  // Keeps the lines of an earlier log up to `step`, whole lines only.
  RunLog(FileSystem& fs, const std::string& dir, int64_t step);
  void write(const Json& line);

 private:
  std::unique_ptr<File> file_;
  int64_t size_ = 0;
};

}  // namespace unha
