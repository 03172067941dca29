// SPDX-License-Identifier: Apache-2.0
#include "app/reply_printer.h"

#include <unistd.h>

namespace unha {

ReplyPrinter::ReplyPrinter(std::FILE* out) : out_(out), terminal_(::isatty(::fileno(out)) == 1) {}
ReplyPrinter::~ReplyPrinter() { dim(false); }

void ReplyPrinter::dim(bool on) {
  if (!terminal_ || on == dim_) return;
  std::fputs(on ? "\x1b[2m" : "\x1b[0m", out_);
  std::fflush(out_);
  dim_ = on;
}

void ReplyPrinter::print(std::string_view text, bool thinking) {
  dim(thinking);
  // The marks themselves are not shown, so the line end behind each of them would stand alone.
  bool switched = thinking != thought_;
  thought_ = thinking;
  if (switched && !line_open_ && !text.empty() && text.front() == '\n') text.remove_prefix(1);
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
  line_open_ = text.back() != '\n';
}

void ReplyPrinter::end() {
  dim(false);
  if (line_open_) std::fputc('\n', out_);
  std::fflush(out_);
  line_open_ = false;
  thought_ = false;
}

}  // namespace unha
