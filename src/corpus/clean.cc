// SPDX-License-Identifier: Apache-2.0
// Cleaning of text; each step is a plain pass over bytes.
#include "corpus/clean.h"

namespace unha::corpus {

namespace {

// Length of the valid UTF-8 sequence at the start of s, 0 if there is none (overlong, surrogate, beyond U+10FFFF).
size_t sequence_length(std::string_view s) {
  auto byte = [&](size_t i) { return i < s.size() ? static_cast<uint8_t>(s[i]) : uint8_t{0}; };
  auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  uint8_t a = byte(0);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (a == 0xE0 && byte(1) < 0xA0) return 0;
    if (a == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (a == 0xF0 && byte(1) < 0x90) return 0;
    if (a == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// Drops control characters (C0 but tab and newline, DEL, C1), CR as a line end, and the marks U+FEFF and U+00AD;
// no-break and other fixed-width spaces become a plain space.
std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<uint8_t>(text[i]);
    auto next = [&](size_t k) { return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : uint8_t{0}; };
    if (c == '\r') {
      if (next(1) != '\n') out += '\n';
    } else if (c == '\f' || c == '\v') {
      out += '\n';
    } else if (c < 0x20 && c != '\n' && c != '\t') {
      continue;
    } else if (c == 0x7F) {
      continue;
    } else if (c == 0xC2 && (next(1) < 0xA0 || next(1) == 0xAD)) {
      ++i;
    } else if (c == 0xC2 && next(1) == 0xA0) {
      out += ' ';
      ++i;
    } else if (c == 0xE2 && next(1) == 0x80 && next(2) >= 0x80 && next(2) <= 0x8A) {
      out += ' ';
      i += 2;
    } else if (c == 0xE2 && next(1) == 0x80 && next(2) >= 0x8B && next(2) <= 0x8F) {
      i += 2;
    } else if (c == 0xE2 && next(1) == 0x80 && (next(2) == 0xA8 || next(2) == 0xA9)) {
      out += '\n';
      i += 2;
    } else if (c == 0xEF && next(1) == 0xBB && next(2) == 0xBF) {
      i += 2;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t n = sequence_length(bytes);
    if (n == 0) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    if (code >= 0xD800 && code <= 0xDFFF) code = 0xFFFD;
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x110000) {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    append_utf8(out, 0xFFFD);
  }
}

std::string to_utf8(std::string_view bytes) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string out;
  for (char c : bytes) append_utf8(out, static_cast<uint8_t>(c));
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string clean_text(std::string_view bytes) {
  std::string text = without_controls(to_utf8(bytes));
  std::string out;
  out.reserve(text.size());
  bool blank = false;
  for (std::string_view line : split_lines(text)) {
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    if (line.empty()) {
      blank = true;
      continue;
    }
    if (!out.empty()) out += blank ? "\n\n" : "\n";
    blank = false;
    out += line;
  }
  return out;
}

std::vector<std::string_view> split_paragraphs(std::string_view text) {
  std::vector<std::string_view> paragraphs;
  while (!text.empty()) {
    size_t end = text.find("\n\n");
    if (end != 0) paragraphs.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 2);
  }
  return paragraphs;
}

std::string unwrap_paragraphs(std::string_view text) {
  std::string out;
  for (std::string_view paragraph : split_paragraphs(text)) {
    if (!out.empty()) out += "\n\n";
    bool prose = paragraph.front() != ' ' && paragraph.find("\n ") == std::string_view::npos &&
                 paragraph.find("\n\t") == std::string_view::npos;
    out += prose ? collapse_spaces(paragraph) : std::string(paragraph);
  }
  return out;
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool pending = false;
  for (char c : text) {
    if (is_space(c)) {
      pending = true;
      continue;
    }
    if (pending && !out.empty()) out += ' ';
    pending = false;
    out += c;
  }
  return out;
}

}  // namespace unha::corpus
