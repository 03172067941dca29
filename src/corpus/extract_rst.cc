// SPDX-License-Identifier: Apache-2.0
// reStructuredText (Sphinx sources) to text: directives are opened or dropped, roles and links reduced to their words.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/one_of.h"

namespace unha::corpus {
namespace {

// Directives that go with all of their content. Every other directive keeps its body; kTitled keep their argument too.
constexpr std::array<std::string_view, 31> kDroppedDirectives = {
    "toctree",      "index",          "module",         "moduleauthor",   "sectionauthor",
    "codeauthor",   "highlight",      "currentmodule",  "image",          "figure",
    "contents",     "only",           "include",        "literalinclude", "raw",
    "meta",         "autosummary",    "autoclass",      "autofunction",   "automodule",
    "automethod",   "ipython",        "tabularcolumns", "productionlist", "graphviz",
    "cmake-module", "default-domain", "program",        "testsetup",      "testcleanup",
    "autodata"};
constexpr std::array<std::string_view, 4> kNotes = {"note", "warning", "tip", "seealso"};
constexpr std::array<std::string_view, 7> kUnargued = {"code-block", "code",     "sourcecode", "parsed-literal",
                                                       "container",  "rubric-x", "doctest"};

size_t indent_of(std::string_view line) {
  size_t n = 0;
  for (; n < line.size() && (line[n] == ' ' || line[n] == '\t'); ++n) {
  }
  return n;
}

bool is_rule(std::string_view line) {
  line = trim(line);
  if (line.size() < 3) return false;
  constexpr std::string_view kMarks = "=-~^\"'`#*+_.:<>";
  if (kMarks.find(line[0]) == std::string_view::npos) return false;
  return std::all_of(line.begin(), line.end(), [&](char c) { return c == line[0]; });
}

bool is_role_name(std::string_view name) {
  return !name.empty() && name.size() < 24 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':' ||
           c == '.' || c == '_' || c == '+';
  });
}

// What stands between backquotes, as a reader sees it: "text <target>" is text, "~a.b.c" is c, "!x" is x.
std::string_view link_text(std::string_view inner) {
  size_t angle = inner.rfind('<');
  if (angle != std::string_view::npos && inner.back() == '>' && angle > 0) return trim(inner.substr(0, angle));
  if (!inner.empty() && inner[0] == '!') return inner.substr(1);
  if (!inner.empty() && inner[0] == '~') {
    size_t dot = inner.rfind('.');
    return inner.substr(dot == std::string_view::npos ? 1 : dot + 1);
  }
  return inner;
}

std::string inline_markup(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\\' && i + 1 < text.size() && !isalnum(static_cast<unsigned char>(text[i + 1]))) {
      if (text[i + 1] != ' ') out += text[i + 1];
      i += 2;
      continue;
    }
    if (text.substr(i, 2) == "``") {
      size_t end = text.find("``", i + 2);
      if (end != std::string_view::npos) {
        out += text.substr(i + 2, end - i - 2);
        i = end + 2;
        continue;
      }
    }
    if (text[i] == '`') {
      size_t end = text.find('`', i + 1);
      if (end != std::string_view::npos && end > i + 1) {
        out += link_text(text.substr(i + 1, end - i - 1));
        i = end + 1;
        while (i < text.size() && text[i] == '_') ++i;
        continue;
      }
    }
    if (text[i] == ':') {
      size_t tick = text.find(":`", i + 1);
      if (tick != std::string_view::npos && is_role_name(text.substr(i + 1, tick - i - 1))) {
        i = tick + 1;
        continue;
      }
    }
    if (text[i] == '*') {
      size_t width = text.substr(i, 2) == "**" ? 2 : 1;
      std::string_view mark = text.substr(i, width);
      size_t end = text.find(mark, i + width);
      bool opens =
          i + width < text.size() && text[i + width] != ' ' && text[i + width] != ')' && text[i + width] != '*';
      if (opens && end != std::string_view::npos && end - i < 200 && text[end - 1] != ' ') {
        out += text.substr(i + width, end - i - width);
        i = end + width;
        continue;
      }
    }
    if (text[i] == '|') {
      size_t end = text.find('|', i + 1);
      if (end != std::string_view::npos && end - i < 40 && text.find(' ', i) > end) {
        out += text.substr(i + 1, end - i - 1);
        i = end + 1;
        continue;
      }
    }
    out += text[i++];
  }
  return out;
}

class RstReader {
 public:
  explicit RstReader(std::string_view rst) : lines_(split_lines(rst)) {}

  std::string read() {
    while (at_ < lines_.size()) step();
    return std::move(out_);
  }

 private:
  void skip_block(size_t indent) {
    while (at_ < lines_.size() && (trim(lines_[at_]).empty() || indent_of(lines_[at_]) > indent)) ++at_;
  }
  void skip_options(size_t indent) {
    while (at_ < lines_.size() && indent_of(lines_[at_]) > indent && trim(lines_[at_]).substr(0, 1) == ":" &&
           trim(lines_[at_]).find(':', 1) != std::string_view::npos &&
           trim(lines_[at_]).find(":`") == std::string_view::npos) {
      ++at_;
    }
  }
  void emit(std::string_view line, size_t indent) {
    out_.append(indent, ' ');
    out_ += line;
    out_ += '\n';
  }

  void step() {
    std::string_view line = lines_[at_++];
    std::string_view content = trim(line);
    size_t indent = indent_of(line);
    if (literal_indent_ != kNone) {
      if (content.empty() || indent > literal_indent_) {
        emit(content, content.empty() ? 0 : indent);  // code: verbatim
        return;
      }
      literal_indent_ = kNone;
    }
    if (content.empty()) {  // says nothing about indents
      out_ += '\n';
      return;
    }
    if (content == ".." || content.substr(0, 3) == ".. ") return directive(content, indent);
    if (content.substr(0, 3) == "__ " || (is_rule(content) && !is_table_rule(content))) return;
    if (is_table_rule(content) || content.substr(0, 2) == "+-" || content.substr(0, 2) == "+=") return;
    bool literal = content.size() >= 2 && content.substr(content.size() - 2) == "::";
    if (literal) content.remove_suffix(content.size() == 2 ? 2 : 1);
    if (content.empty()) {
      literal_indent_ = indent;
      return;
    }
    emit(inline_markup(content), indent - std::min(indent, shift_for(indent)));
    if (literal) literal_indent_ = indent;
  }

  // "==== ====  ====": the rules of a simple table.
  static bool is_table_rule(std::string_view content) {
    return content.size() > 6 && (content[0] == '=' || content[0] == '-') &&
           content.find_first_not_of("=- ") == std::string_view::npos && content.find(' ') != std::string_view::npos;
  }

  // Bodies of directives are shown without their indent.
  size_t shift_for(size_t indent) {
    while (!open_.empty() && indent <= open_.back()) open_.pop_back();
    return open_.empty() ? 0 : indent;
  }

  void directive(std::string_view content, size_t indent) {
    if (content.size() < 4) return skip_block(indent);
    std::string_view rest = trim(content.substr(3));
    size_t marks = rest.find("::");
    bool named =
        marks != std::string_view::npos && is_role_name(rest.substr(0, marks)) && rest[0] != '_' && rest[0] != '|';
    if (!named) {
      if (rest.substr(0, 1) == "[") {  // a footnote
        size_t end = rest.find(']');
        if (end != std::string_view::npos) emit(inline_markup(trim(rest.substr(end + 1))), 0);
        open_.push_back(indent);
        return;
      }
      return skip_block(indent);  // a target, a substitution or a comment
    }
    std::string_view name = rest.substr(0, marks);
    std::string_view argument = trim(rest.substr(marks + 2));
    if (size_t colon = name.rfind(':'); colon != std::string_view::npos) name = name.substr(colon + 1);
    if (one_of(name, kDroppedDirectives)) return skip_block(indent);
    skip_options(indent);
    if (one_of(name, kNotes)) {
      std::string title(name == "seealso" ? "see also" : name);
      title[0] = static_cast<char>(title[0] - 32);
      emit(title + ": " + inline_markup(argument), 0);
    } else if (name == "versionadded" || name == "versionchanged" || name == "deprecated") {
      std::string title = name == "versionadded" ? "Added in version "
                          : name == "deprecated" ? "Deprecated since version "
                                                 : "Changed in version ";
      emit(title + inline_markup(argument), 0);
    } else if (one_of(name, kUnargued)) {
      literal_indent_ = indent;
      return;
    } else if (!argument.empty()) {
      emit(inline_markup(argument), 0);
    }
    open_.push_back(indent);
  }

  static constexpr size_t kNone = static_cast<size_t>(-1);
  std::vector<std::string_view> lines_;
  size_t at_ = 0;
  std::string out_;
  std::vector<size_t> open_;       // indents of the directives whose bodies we are in
  size_t literal_indent_ = kNone;  // a "::" paragraph stood at this indent
};

}  // namespace

std::string rst_to_text(std::string_view rst) {
  std::string text = to_utf8(rst);
  RstReader reader(text);
  return reader.read();
}

}  // namespace unha::corpus
