// SPDX-License-Identifier: Apache-2.0
#include "app/line_reader.h"

#include <editline/readline.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace unha {

namespace {
constexpr int kHistoryLines = 1000;
}

LineReader::LineReader(std::string history)
    : history_(std::move(history)), terminal_(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) {
  if (!terminal_) return;
  using_history();
  stifle_history(kHistoryLines);
  if (!history_.empty()) read_history(history_.c_str());
}

LineReader::~LineReader() {
  if (terminal_ && !history_.empty()) write_history(history_.c_str());
}

std::optional<std::string> LineReader::read(const char* prompt) {
  if (!terminal_) {
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  char* text = readline(prompt);
  if (text == nullptr) return std::nullopt;
  std::string line = text;
  std::free(text);
  if (!line.empty()) add_history(line.c_str());
  return line;
}

}  // namespace unha
