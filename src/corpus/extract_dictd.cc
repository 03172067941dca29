// SPDX-License-Identifier: Apache-2.0
// dictd dictionaries: an index of (word, offset, length) in base 64 into one text. Several words may share an entry.
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "corpus/bytes.h"
#include "corpus/clean.h"
#include "corpus/extract.h"

namespace unha::corpus {
namespace {

// dictd's base 64: plain digits A-Z a-z 0-9 + /, most significant first.
uint64_t base64_number(std::string_view digits, const std::string& what) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint64_t value = 0;
  if (digits.empty() || digits.size() > 8) {
    throw_error(ErrorCode::kCorrupt, "{}: a number of 1 to 8 base-64 digits is expected, found \"{}\"", what, digits);
  }
  for (char c : digits) {
    size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      throw_error(ErrorCode::kCorrupt, "{}: \"{}\" is not a base-64 number", what, digits);
    }
    value = value * 64 + digit;
  }
  return value;
}

}  // namespace

void extract_dictd(std::string_view index, std::string_view dict, const std::string& name, const DocumentSink& sink) {
  ByteReader reader(dict, name);
  std::set<std::pair<uint64_t, uint64_t>> entries;  // by offset: the order of the book
  for (std::string_view line : split_lines(index)) {
    size_t first = line.find('\t');
    if (first == std::string_view::npos) continue;
    std::string_view word = line.substr(0, first);
    if (word.substr(0, 10) == "00database" || word.substr(0, 11) == "00-database") continue;
    size_t second = line.find('\t', first + 1);
    if (second == std::string_view::npos) {
      throw_error(ErrorCode::kCorrupt, "{}: an index line has no length: \"{}\"", name, line.substr(0, 60));
    }
    std::string_view length = line.substr(second + 1);
    length = length.substr(0, length.find('\t'));
    entries.emplace(base64_number(line.substr(first + 1, second - first - 1), name + ".index"),
                    base64_number(length, name + ".index"));
  }
  int64_t number = 0;
  for (const auto& [offset, length] : entries) {
    std::string text = clean_text(reader.slice(offset, length));
    // Links: {word} is the word. Bodies are indented as a whole: take four spaces away, or two.
    std::string plain;
    for (std::string_view line : split_lines(text)) {
      if (line.substr(0, 4) == "    ") line.remove_prefix(4);
      for (char c : line) {
        if (c != '{' && c != '}') plain += c;
      }
      plain += '\n';
    }
    sink({name + "#" + std::to_string(number++), std::move(plain)});
  }
}

}  // namespace unha::corpus
