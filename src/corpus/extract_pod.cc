// SPDX-License-Identifier: Apache-2.0
// Perl's POD to text (perlpod): commands, verbatim paragraphs, nested formatting codes.
#include <algorithm>
#include <string>
#include <string_view>

#include "corpus/clean.h"
#include "corpus/extract.h"

namespace unha::corpus {
namespace {

constexpr int kMaxDepth = 20;

void append_escape(std::string_view name, std::string& out) {
  if (name == "lt") {
    out += '<';
  } else if (name == "gt") {
    out += '>';
  } else if (name == "sol") {
    out += '/';
  } else if (name == "verbar") {
    out += '|';
  } else if (!name.empty() && isdigit(static_cast<unsigned char>(name[0])) && name.size() < 8) {
    uint32_t code = 0;
    for (char c : name) {
      if (c < '0' || c > '9') return;
      code = code * 10 + static_cast<uint32_t>(c - '0');
    }
    append_utf8(out, code);
  } else {
    out += name;
  }
}

// Formatting codes X<...>, also X<< ... >>. Reads until `closer` (empty: the end); moves i past it.
std::string formatted(std::string_view text, size_t& i, std::string_view closer, int depth) {
  std::string out;
  while (i < text.size()) {
    if (!closer.empty() && text.substr(i, closer.size()) == closer) {
      i += closer.size();
      return out;
    }
    bool code = text[i] >= 'A' && text[i] <= 'Z' && i + 1 < text.size() && text[i + 1] == '<' && depth < kMaxDepth;
    if (!code) {
      out += text[i++];
      continue;
    }
    char kind = text[i];
    size_t angles = 0;
    size_t begin = i + 1;
    while (begin < text.size() && text[begin] == '<') {
      ++begin;
      ++angles;
    }
    if (angles > 1 && (begin >= text.size() || !isspace(static_cast<unsigned char>(text[begin])))) {
      begin = i + 2;
      angles = 1;
    }
    std::string inner = formatted(text, begin, std::string(angles, '>'), depth + 1);
    i = begin;
    std::string_view body = angles > 1 ? trim(inner) : std::string_view(inner);
    if (kind == 'E') {
      append_escape(body, out);
    } else if (kind == 'L') {
      size_t bar = body.find('|');
      std::string_view shown = bar == std::string_view::npos ? body : body.substr(0, bar);
      if (bar == std::string_view::npos && shown.substr(0, 1) == "/") shown.remove_prefix(1);
      out += shown;
    } else if (kind != 'X' && kind != 'Z') {
      out += body;
    }
  }
  return out;
}

std::string formatted(std::string_view text) {
  size_t i = 0;
  return formatted(text, i, "", 0);
}

}  // namespace

std::string pod_to_text(std::string_view bytes) {
  std::string source = clean_text(bytes);
  std::string out;
  bool in_pod = false;
  std::string skip_until;
  for (std::string_view paragraph : split_paragraphs(source)) {
    if (paragraph[0] == '=') {
      size_t end = paragraph.find_first_of(" \t\n");
      std::string_view command = paragraph.substr(1, end == std::string_view::npos ? end : end - 1);
      std::string_view rest = end == std::string_view::npos ? "" : trim(paragraph.substr(end));
      if (command == "cut") {
        in_pod = false;
        continue;
      }
      in_pod = true;
      if (!skip_until.empty()) {
        if (command == "end") skip_until.clear();
        continue;
      }
      if (command == "begin") {
        skip_until = std::string(rest);
        continue;
      }
      if (command == "for" || command == "encoding" || command == "over" || command == "back" || command == "end" ||
          command == "pod") {
        continue;
      }
      if (command == "item" && (rest.empty() || rest == "*" || rest == "-")) {
        out += "- ";
        continue;
      }
      if (rest.substr(0, 2) == "* ") {
        out += "- ";
        rest.remove_prefix(2);
      }
      out += collapse_spaces(formatted(rest)) + "\n\n";
      continue;
    }
    if (!in_pod || !skip_until.empty()) continue;
    if (paragraph[0] == ' ' || paragraph[0] == '\t') {
      out += std::string(paragraph) + "\n\n";
    } else {
      out += collapse_spaces(formatted(paragraph)) + "\n\n";
    }
  }
  return out;
}

}  // namespace unha::corpus
