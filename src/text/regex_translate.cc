// SPDX-License-Identifier: Apache-2.0
// From Oniguruma's Ruby syntax to PCRE2's. What reads the same is copied, what differs is rewritten, the rest refused.
#include <array>
#include <optional>

#include "base/error.h"
#include "text/regex.h"

namespace unha {

namespace {

// White_Space and its complement as the inside of a character class. PCRE2's own \s adds U+180E.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
    R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{d7ff}\x{e000}-\x{10ffff})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kHex = "0-9A-Fa-f";

constexpr std::array<std::string_view, 37> kCategories = {
    "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl",
    "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs"};

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& what) : in_(pattern), what_(what) {}

  std::string run() {
    while (pos_ < in_.size()) {
      char c = in_[pos_];
      if (c == '\\') {
        escape(false);
      } else if (c == '[') {
        character_class();
      } else if (c == '(') {
        group();
      } else if (c == '{') {
        interval();
      } else {
        out_ += c;
        ++pos_;
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& construct) const {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: regular expression uses {} at byte {}", what_, construct, pos_),
                "use a tokenizer whose patterns avoid it");
  }
  char peek(size_t ahead = 0) const { return pos_ + ahead < in_.size() ? in_[pos_ + ahead] : '\0'; }

  // A set of characters, given as the inside of a class.
  void set(std::string_view inside, bool negated, bool in_class) {
    if (in_class) {
      out_ += inside;
      hyphen_after_set();
    } else {
      out_ += negated ? "[^" : "[";
      out_ += inside;
      out_ += ']';
    }
  }
  // A hyphen after a set is itself; after the ranges we write it would extend the last one.
  void hyphen_after_set() {
    if (peek() == '-' && peek(1) != ']') {
      out_ += "\\-";
      ++pos_;
    }
  }

  void escape(bool in_class) {
    char c = peek(1);
    if (pos_ + 1 >= in_.size()) refuse("a lone backslash at its end");
    size_t start = pos_;
    pos_ += 2;
    switch (c) {
      case 's':
        return set(kSpace, false, in_class);
      case 'S':
        return set(in_class ? kNotSpace : kSpace, true, in_class);
      case 'w':
        return set(kWord, false, in_class);
      case 'h':
        return set(kHex, false, in_class);
      case 'd':
        return set("\\p{Nd}", false, in_class);
      case 'D':
        return set(in_class ? "\\P{Nd}" : "\\p{Nd}", true, in_class);
      case 'W':
      case 'H':
        if (in_class) break;
        return set(c == 'W' ? kWord : kHex, true, false);
      case 'p':
      case 'P':
        return property(c == 'P', in_class);
      case 'v':
        out_ += "\\x{b}";
        return;
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        out_.append({'\\', c});
        return;
      case 'b':
        if (!in_class) break;
        out_ += "\\x{8}";
        return;
      case 'A':
      case 'z':
      case 'Z':
        if (in_class) break;
        out_.append({'\\', c});
        return;
      case 'x':
      case 'u':
        return code_point(c);
      default:
        if (is_letter(c) || is_digit(c)) break;
        if (static_cast<unsigned char>(c) < 0x80) out_ += '\\';
        out_ += c;
        return;
    }
    pos_ = start;
    refuse(fmt::format("the escape \\{}{}", c, in_class ? " in a character class" : ""));
  }

  // \x41, \x{1F600}, \u1234
  void code_point(char kind) {
    std::string digits;
    if (kind == 'x' && peek() == '{') {
      ++pos_;
      while (is_hex(peek()) && digits.size() < 8) digits += in_[pos_++];
      if (peek() != '}') refuse("a malformed \\x{...}");
      ++pos_;
    } else {
      size_t want = kind == 'u' ? 4 : 2;
      while (is_hex(peek()) && digits.size() < want) digits += in_[pos_++];
      if (kind == 'u' && digits.size() != 4) refuse("a malformed \\uXXXX");
      if (kind == 'x' && (digits.empty() || (digits.size() == 2 && digits[0] >= '8'))) refuse("\\x for a raw byte");
    }
    if (digits.empty()) refuse("an empty code point");
    out_ += "\\x{" + digits + "}";
  }

  void property(bool negated, bool in_class) {
    if (peek() != '{') refuse("\\p without braces");
    size_t end = in_.find('}', pos_);
    if (end == std::string_view::npos) refuse("\\p{ without an end");
    std::string_view name = in_.substr(pos_ + 1, end - pos_ - 1);
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    if (name.empty() || name.size() > 40) refuse("a property without a name");
    for (char c : name) {
      if (!is_letter(c) && c != '_') refuse("the property \"" + std::string(name) + "\"");
    }
    bool category = false;
    for (std::string_view known : kCategories) category = category || known == name;
    out_ += negated ? "\\P{" : "\\p{";
    if (!category) out_ += "sc:";  // PCRE2 would read a bare name as script *extensions*
    out_ += name;
    out_ += '}';
    pos_ = end + 1;
    if (in_class) hyphen_after_set();
  }

  void character_class() {
    out_ += '[';
    ++pos_;
    if (peek() == '^') {
      out_ += '^';
      ++pos_;
    }
    if (peek() == ']') refuse("a character class that starts with ]");
    for (;;) {
      if (pos_ >= in_.size()) refuse("a character class without an end");
      char c = in_[pos_];
      if (c == ']') break;
      if (c == '[') refuse("a set inside a character class");
      if (c == '&' && peek(1) == '&') refuse("an intersection of character classes");
      if (c == '\\') {
        escape(true);
      } else if (c == '-' && peek(1) == '\\' && std::string_view("sSwdDhpP").find(peek(2)) != std::string_view::npos) {
        out_ += "\\-";
        ++pos_;
      } else {
        out_ += c;
        ++pos_;
      }
    }
    out_ += ']';
    ++pos_;
  }

  void group() {
    if (peek(1) == '*') refuse("(*");
    if (peek(1) != '?') {
      out_ += '(';
      ++pos_;
      return;
    }
    for (std::string_view plain : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (in_.substr(pos_, plain.size()) == plain) {
        out_ += plain;
        pos_ += plain.size();
        return;
      }
    }
    std::string flags = "(?";
    size_t i = pos_ + 2;
    while (i < in_.size() && (in_[i] == 'i' || in_[i] == 'm' || in_[i] == '-')) {
      flags += in_[i] == 'm' ? 's' : in_[i];  // Ruby's m lets the dot match a newline
      ++i;
    }
    if (i == pos_ + 2 || i >= in_.size() || (in_[i] != ':' && in_[i] != ')')) {
      refuse(fmt::format("the group \"{}\"", in_.substr(pos_, 4)));
    }
    out_ += flags + in_[i];
    pos_ = i + 1;
  }

  void interval() {
    size_t i = pos_ + 1;
    std::string low, high;
    while (i < in_.size() && is_digit(in_[i])) low += in_[i++];
    bool comma = i < in_.size() && in_[i] == ',';
    if (comma) ++i;
    while (comma && i < in_.size() && is_digit(in_[i])) high += in_[i++];
    bool valid = i < in_.size() && in_[i] == '}' && (!low.empty() || !high.empty());
    if (!valid) {
      out_ += "\\{";
      ++pos_;
      return;
    }
    char next = i + 1 < in_.size() ? in_[i + 1] : '\0';
    if (next == '+') refuse("an interval followed by +");
    if (next == '?' && !comma) refuse("a fixed interval followed by ?");
    out_ += fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, comma ? "," : "", high);
    pos_ = i + 1;
  }

  std::string_view in_;
  const std::string& what_;
  size_t pos_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, const std::string& what) {
  return Translator(pattern, what).run();
}

}  // namespace unha
