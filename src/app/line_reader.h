// SPDX-License-Identifier: Apache-2.0
// Lines from a person or from a pipe. On a terminal libedit edits them and keeps a history; elsewhere they are just
// read.
#pragma once

#include <optional>
#include <string>

namespace unha {

class LineReader {
 public:
  // history: the file that keeps it; empty: none.
  explicit LineReader(std::string history);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool terminal() const { return terminal_; }
  // Nothing at the end of the input, or if a signal interrupted the wait.
  std::optional<std::string> read(const char* prompt);

 private:
  std::string history_;
  bool terminal_;
};

}  // namespace unha
