// SPDX-License-Identifier: Apache-2.0
// Patterns: a placeholder's value ends where the next literal text begins, and must be of its class.
#include "corpus/phrase.h"

#include <algorithm>

#include "base/error.h"

namespace unha::corpus {
namespace {

bool is_letters(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

bool is_of_class(const std::string& name, std::string_view value) {
  if (name.size() == 1 && name[0] >= 'a' && name[0] <= 'f') return parse_integer(value).has_value();
  if (name == "list") return parse_integers(value).has_value();
  return is_letters(value);
}

}  // namespace

std::string fill(std::string_view pattern, const Bindings& values) {
  std::string out;
  for (size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '{') {
      out += pattern[i++];
      continue;
    }
    size_t end = pattern.find('}', i);
    UNHA_CHECK(end != std::string_view::npos, "pattern with an open placeholder: {}", pattern);
    auto value = values.find(std::string(pattern.substr(i + 1, end - i - 1)));
    UNHA_CHECK(value != values.end(), "pattern {} lacks a value", pattern);
    out += value->second;
    i = end + 1;
  }
  return out;
}

std::optional<Bindings> match(std::string_view pattern, std::string_view text) {
  Bindings values;
  while (!pattern.empty()) {
    size_t open = pattern.find('{');
    std::string_view literal = pattern.substr(0, open);
    if (text.substr(0, literal.size()) != literal) return std::nullopt;
    text.remove_prefix(literal.size());
    if (open == std::string_view::npos) return text.empty() ? std::optional(values) : std::nullopt;
    size_t close = pattern.find('}', open);
    std::string name(pattern.substr(open + 1, close - open - 1));
    pattern.remove_prefix(close + 1);
    std::string_view next = pattern.substr(0, pattern.find('{'));
    size_t end = next.empty() ? std::string_view::npos : text.find(next);
    if (!next.empty() && end == std::string_view::npos) return std::nullopt;
    std::string_view value = text.substr(0, end);
    if (!is_of_class(name, value)) return std::nullopt;
    if (auto [at, fresh] = values.emplace(name, value); !fresh && at->second != value) return std::nullopt;
    text.remove_prefix(value.size());
  }
  return text.empty() ? std::optional(values) : std::nullopt;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 18) return std::nullopt;
  if (text[0] == '0' && (text.size() > 1 || negative)) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

std::optional<std::vector<int64_t>> parse_integers(std::string_view list) {
  std::vector<int64_t> numbers;
  for (;;) {
    size_t end = list.find(", ");
    auto number = parse_integer(list.substr(0, end));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
    if (end == std::string_view::npos) return numbers;
    list.remove_prefix(end + 2);
  }
}

std::string join_integers(const std::vector<int64_t>& numbers) {
  std::string out;
  for (size_t i = 0; i < numbers.size(); ++i) out += (i ? ", " : "") + std::to_string(numbers[i]);
  return out;
}

}  // namespace unha::corpus
