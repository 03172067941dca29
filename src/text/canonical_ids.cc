// SPDX-License-Identifier: Apache-2.0
#include "text/canonical_ids.h"

#include <unordered_map>

#include "base/sha256.h"
#include "text/utf8.h"

namespace unha {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string without_marks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    char32_t c = next_char(text, i);
    if (!is_mark(c)) append_utf8(out, c);
  }
  return out;
}

std::string with_single_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_run = false;
  for (char c : text) {
    bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!blank) {
      out += c;
    } else if (!in_run) {
      out += ' ';
    }
    in_run = blank;
  }
  return out;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    size_t end = 0;
    if (!is_white_space(next_char(text, end))) break;
    text.remove_prefix(end);
  }
  while (!text.empty()) {
    size_t start = text.size();
    if (!is_white_space(previous_char(text, start))) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace

std::string canonical_text(std::string_view text) {
  std::string s = normalize_utf8(normalize_utf8(text, NormalForm::kNfkc), NormalForm::kNfd);
  s = with_single_blanks(lowercase_utf8(without_marks(s)));
  return s == " " ? s : std::string(stripped(s));
}

std::string canonical_ids_digest(const std::vector<int32_t>& map) {
  Sha256 sha;
  for (int32_t id : map) {
    auto u = static_cast<uint32_t>(id);
    const uint8_t bytes[4] = {static_cast<uint8_t>(u), static_cast<uint8_t>(u >> 8), static_cast<uint8_t>(u >> 16),
                              static_cast<uint8_t>(u >> 24)};
    sha.update(bytes, sizeof bytes);
  }
  return sha.hex();
}

CanonicalIds make_canonical_ids(const Tokenizer& tokenizer) {
  CanonicalIds result;
  std::unordered_map<std::string, int32_t> holders;
  for (int64_t id = 0; id < tokenizer.size(); ++id) {
    auto raw = static_cast<int32_t>(id);
    std::string text = lossy_utf8(tokenizer.token_bytes(raw));
    std::string key;
    if (text.find(kReplacement) != std::string::npos) {
      key = tokenizer.token_string(raw);  // not text alone: its spelling in the vocabulary
    } else {
      key = canonical_text(text);
      if (key.empty()) key = text;
    }
    auto [found, fresh] = holders.emplace(std::move(key), static_cast<int32_t>(result.count));
    if (fresh) ++result.count;
    result.map.push_back(found->second);
  }
  result.sha256 = canonical_ids_digest(result.map);
  return result;
}

}  // namespace unha
