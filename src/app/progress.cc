// SPDX-License-Identifier: Apache-2.0
#include "app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace unha {

namespace {
constexpr double kTerminalSeconds = 0.1;

// Cuts between characters, never inside one.
std::string_view cut_to_width(std::string_view text, std::FILE* out) {
  winsize window = {};
  size_t width = 80;
  if (ioctl(fileno(out), TIOCGWINSZ, &window) == 0 && window.ws_col > 1) width = window.ws_col;
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && ++characters == width) return text.substr(0, i);  // the last column stays free: no wrap
  }
  return text;
}
}  // namespace

StatusLine::StatusLine(bool quiet, std::FILE* out, double seconds)
    : out_(out), quiet_(quiet), terminal_(isatty(fileno(out)) == 1), seconds_(seconds), last_(Clock::now()) {
  if (terminal_) {
    seconds_ = kTerminalSeconds;
    last_ -= std::chrono::seconds(1);  // the first line comes at once
  }
}

StatusLine::~StatusLine() {
  if (open_) std::fputc('\n', out_);
}

bool StatusLine::due() const {
  return !quiet_ && std::chrono::duration<double>(Clock::now() - last_).count() >= seconds_;
}

void StatusLine::write(std::string_view text) {
  if (terminal_) {
    fmt::print(out_, "\r\033[K{}", cut_to_width(text, out_));
    open_ = true;
  } else {
    fmt::print(out_, "{}\n", text);
  }
  std::fflush(out_);
  last_ = Clock::now();
}

void StatusLine::show(std::string_view text) {
  if (due()) write(text);
}

void StatusLine::log(std::string_view text) {
  if (quiet_) return;
  fmt::print(out_, "{}{}\n", open_ ? "\r\033[K" : "", text);
  std::fflush(out_);
  open_ = false;
}

void StatusLine::finish(std::string_view text) { log(text); }

Progress::Progress(bool quiet, std::string label, std::string unit, double total)
    : line_(quiet), label_(std::move(label)), unit_(std::move(unit)), total_(total) {
  start_ = std::chrono::steady_clock::now();
}

double Progress::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::update(double done) {
  done_ = done;
  if (line_.due()) line_.show(progress_text(label_, unit_, done, total_, elapsed()));
}

void Progress::finish() {
  double seconds = elapsed();
  line_.finish(fmt::format("{}: {} {} in {}, {} {}/s", label_, number_text(done_), unit_, duration_text(seconds),
                           number_text(seconds > 0 ? done_ / seconds : 0), unit_));
}

std::string progress_text(std::string_view label, std::string_view unit, double done, double total, double seconds) {
  double rate = seconds > 0 ? done / seconds : 0;
  std::string text = fmt::format("{} {}", label, number_text(done));
  if (total > 0) {
    text += fmt::format(" / {} {} ({:.0f} %)", number_text(total), unit, std::floor(100 * std::min(1.0, done / total)));
  } else {
    text += fmt::format(" {}", unit);
  }
  text += fmt::format(", {} {}/s", number_text(rate), unit);
  if (total > 0 && rate > 0) text += fmt::format(", {} left", duration_text(std::max(0.0, (total - done) / rate)));
  return text;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  auto whole = static_cast<long long>(std::min(seconds, 1e12) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string number_text(double value) {
  double size = std::abs(value);
  if (!std::isfinite(value)) return fmt::format("{}", value);
  if (size >= 99.95) {
    std::string digits = fmt::format("{:.0f}", size);
    for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
    return (value < 0 ? "-" : "") + digits;
  }
  if (value == std::floor(value)) return fmt::format("{:.0f}", value);
  int decimals = size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string megabytes(int64_t bytes) { return number_text(static_cast<double>(bytes) * 1e-6) + " MB"; }

}  // namespace unha
