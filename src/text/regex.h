// SPDX-License-Identifier: Apache-2.0
// Regular expressions of tokenizer files. They are written for Oniguruma (Ruby syntax); this compiles them with PCRE2
// after a translation of what the two read differently (\s, \w, \v, \u, ^ and $, (?m), {,n}, script names). Constructs
// whose meaning would change and that no translation covers are an error, never a guess.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

struct Span {
  size_t begin;
  size_t end;
};

// Oniguruma pattern -> PCRE2 pattern. `what` names it in errors: kUnsupported.
std::string translate_regex(std::string_view pattern, const std::string& what);

// Working memory of matches; serves any regex, one thread at a time.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(RegexScratch&&) noexcept;
  RegexScratch& operator=(RegexScratch&&) noexcept;

 private:
  friend class Regex;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Regex {
 public:
  Regex(std::string_view pattern, const std::string& what);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Appends all matches in `text` (well-formed UTF-8), left to right; an empty match right after a match is none.
  // Nothing outside of text is seen. Error(kUnsupported) if a match takes too many steps.
  void find_all(std::string_view text, RegexScratch& scratch, std::vector<Span>& out) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace unha
