// SPDX-License-Identifier: Apache-2.0
// Progress on stderr. On a terminal one line is rewritten in place; elsewhere a full line appears every few seconds;
// with --quiet nothing does.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace unha {

// The line itself, for commands that word it themselves (training). Not thread-safe.
class StatusLine {
 public:
  // seconds: the least time between lines where `out` is not a terminal.
  explicit StatusLine(bool quiet, std::FILE* out = stderr, double seconds = 10);
  ~StatusLine();  // leaves the last line standing
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Whether show() would print now: ten times a second on a terminal. Ask before composing an expensive text.
  bool due() const;
  // Shows text if due. It is cut to the terminal's width.
  void show(std::string_view text);
  // A line that stays, above the status line; printed at once. Nothing if quiet.
  void log(std::string_view text);
  // Shows text now and ends the line.
  void finish(std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;
  void write(std::string_view text);

  std::FILE* out_;
  bool quiet_;
  bool terminal_;
  bool open_ = false;  // the terminal's cursor is on the status line
  double seconds_;
  Clock::time_point last_;
};

// Counts towards a total: "tokenizing 12 / 48 MB (25 %), 3.1 MB/s, 11 s left".
class Progress {
 public:
  // total <= 0: unknown. unit is what is counted ("MB", "tokens", "documents").
  Progress(bool quiet, std::string label, std::string unit, double total);
  void update(double done);
  void finish();  // "tokenizing: 48 MB in 15 s, 3.2 MB/s"

 private:
  double elapsed() const;

  StatusLine line_;
  std::string label_, unit_;
  double total_;
  double done_ = 0;
  std::chrono::steady_clock::time_point start_;
};

// The text of Progress, as a pure function.
std::string progress_text(std::string_view label, std::string_view unit, double done, double total, double seconds);
// 42 s, 3:07 min, 1:02:11 h
std::string duration_text(double seconds);
// Three significant digits, no exponent: 0.012, 3.14, 128, 12,345
std::string number_text(double value);
std::string megabytes(int64_t bytes);  // 96.6 MB

}  // namespace unha
