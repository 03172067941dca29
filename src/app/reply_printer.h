// SPDX-License-Identifier: Apache-2.0
// Shows a reply as it comes: thoughts are dimmed on a terminal. Without one there are no escapes.
#pragma once

#include <cstdio>
#include <string_view>

namespace unha {

class ReplyPrinter {
 public:
  explicit ReplyPrinter(std::FILE* out);
  ~ReplyPrinter();
  ReplyPrinter(const ReplyPrinter&) = delete;
  ReplyPrinter& operator=(const ReplyPrinter&) = delete;

  void print(std::string_view text, bool thinking);
  // Ends the last line and undoes the colour.
  void end();

 private:
  void dim(bool on);

  std::FILE* out_;
  bool terminal_;
  bool dim_ = false;
  bool line_open_ = false;  // something stands on the current line
};

}  // namespace unha
