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
}

}  // namespace unha
