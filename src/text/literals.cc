// SPDX-License-Identifier: Apache-2.0
// String literals of Python and Jinja sources: enough of the two languages to find them, no more.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "text/prose.h"
#include "text/utf8.h"

namespace unha {

namespace {

bool is_character(uint32_t code) { return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF); }

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The code point of 1 to max_digits digits at `at`, which moves behind them; false if there are fewer than min_digits.
bool read_code(std::string_view body, size_t& at, size_t min_digits, size_t max_digits, int base, uint32_t& code) {
  size_t n = 0;
  while (n < max_digits && at + n < body.size()) {
    uint32_t value = 0;
    auto [end, error] = std::from_chars(body.data() + at + n, body.data() + at + n + 1, value, base);
    if (error != std::errc()) break;
    ++n;
  }
  if (n < min_digits) return false;
  std::from_chars(body.data() + at, body.data() + at + n, code, base);
  at += n;
  return true;
}

// One escape behind its backslash at `at`; an unknown one stays as it is written.
void add_escape(std::string_view body, size_t& at, std::string& out) {
  char c = body[at];
  uint32_t code = 0;
  constexpr std::string_view kPlain = "\\'\"";
  constexpr std::string_view kFrom = "abfnrtv";
  constexpr std::string_view kTo = "\a\b\f\n\r\t\v";
  size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  size_t next = at + 1;
  if (c == '\n') {  // a line that goes on
    at = next;
  } else if (kPlain.find(c) != std::string_view::npos) {
    out += c;
    at = next;
  } else if (size_t i = kFrom.find(c); i != std::string_view::npos) {
    out += kTo[i];
    at = next;
  } else if (digits > 0 && read_code(body, next, digits, digits, 16, code) && is_character(code)) {
    append_utf8(out, code);
    at = next;
  } else if (next = at; digits == 0 && read_code(body, next, 1, 3, 8, code)) {
    append_utf8(out, code);
    at = next;
  } else {
    out += '\\';
    out += c;
    ++at;
  }
}

std::string unescaped(std::string_view body) {
  std::string out;
  for (size_t at = 0; at < body.size();) {
    if (body[at] == '\\' && at + 1 < body.size()) {
      add_escape(body, ++at, out);
    } else {
      out += body[at++];
    }
  }
  return out;
}

// Where the text behind an opening quote ends: the place of the closing one, or npos.
size_t closing(std::string_view source, size_t at, std::string_view quote) {
  for (; at < source.size(); ++at) {
    if (source[at] == '\\') {
      ++at;
    } else if (source.substr(at, quote.size()) == quote) {
      return at;
    } else if (quote.size() == 1 && source[at] == '\n') {
      return std::string_view::npos;
    }
  }
  return std::string_view::npos;
}

// Length of the letters before a quote that belong to it: r, b, u, f in any case, at most two.
size_t prefix_length(std::string_view source, size_t quote) {
  size_t n = 0;
  constexpr std::string_view kLetters = "rRbBuUfF";
  while (n < quote && n < 2 && kLetters.find(source[quote - n - 1]) != std::string_view::npos) ++n;
  return n < quote && is_name_char(source[quote - n - 1]) ? 0 : n;
}

// The literals of a {{ }} or {% %} from `at` on; returns the place behind it. Line ends may stand in these literals.
size_t scan_tag(std::string_view source, size_t at, std::string_view close, std::vector<Literal>& found) {
  while (at < source.size() && source.substr(at, 2) != close) {
    char c = source[at];
    if (c != '\'' && c != '"') {
      ++at;
      continue;
    }
    size_t end = at + 1;
    while (end < source.size() && source[end] != c) end += source[end] == '\\' ? 2 : 1;
    if (end >= source.size()) return source.size();
    found.push_back({unescaped(source.substr(at + 1, end - at - 1)), at, end + 1, false});
    at = end + 1;
  }
  return std::min(at + 2, source.size());
}

}  // namespace

std::vector<Literal> python_literals(std::string_view source) {
  std::vector<Literal> found;
  for (size_t at = 0; at < source.size();) {
    char c = source[at];
    if (c == '#') {
      at = std::min(source.find('\n', at), source.size());
      continue;
    }
    if (c != '\'' && c != '"') {
      ++at;
      continue;
    }
    bool triple = source.substr(at, 3) == std::string(3, c);
    std::string_view quote = source.substr(at, triple ? 3 : 1);
    size_t body = at + quote.size();
    size_t end = closing(source, body, quote);
    if (end == std::string_view::npos) break;
    size_t letters = prefix_length(source, at);
    std::string_view prefix = source.substr(at - letters, letters);
    std::string_view text = source.substr(body, end - body);
    bool raw = prefix.find_first_of("rR") != std::string_view::npos;
    found.push_back({raw ? std::string(text) : unescaped(text), at - letters, end + quote.size(),
                     prefix.find_first_of("fF") != std::string_view::npos});
    at = end + quote.size();
  }
  return found;
}

std::vector<Literal> jinja_literals(std::string_view source) {
  std::vector<Literal> found;
  for (size_t at = 0; at < source.size();) {
    size_t tag = source.find('{', at);
    while (tag != std::string_view::npos && source.substr(tag, 2) != "{{" && source.substr(tag, 2) != "{%" &&
           source.substr(tag, 2) != "{#") {
      tag = source.find('{', tag + 1);
    }
    size_t end = std::min(tag, source.size());
    if (end > at) found.push_back({std::string(source.substr(at, end - at)), at, end, false});
    if (end == source.size()) break;
    if (source[end + 1] == '#') {
      size_t close = source.find("#}", end + 2);
      at = close == std::string_view::npos ? source.size() : close + 2;
    } else {
      at = scan_tag(source, end + 2, source[end + 1] == '{' ? "}}" : "%}", found);
    }
  }
  return found;
}

}  // namespace unha
