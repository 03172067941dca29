// SPDX-License-Identifier: Apache-2.0
// HTML to text: a forgiving single pass over tags. Navigation is dropped by element and by class or id; <pre> keeps its
// lines; every block element ends a paragraph.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/one_of.h"

namespace unha::corpus {
namespace {

constexpr std::array<std::string_view, 14> kDroppedTags = {"script",   "style",  "head",   "nav",    "footer",
                                                           "noscript", "svg",    "form",   "select", "button",
                                                           "math",     "object", "iframe", "aside"};
constexpr std::array<std::string_view, 31> kBlocks = {
    "p",       "div",     "h1",      "h2",      "h3",      "h4",     "h5",         "h6",     "ul",         "ol",   "dl",
    "pre",     "table",   "section", "article", "main",    "header", "blockquote", "figure", "figcaption", "body", "hr",
    "caption", "address", "center",  "details", "summary", "dt",     "title",      "thead",  "tbody"};
constexpr std::array<std::string_view, 5> kLines = {"br", "li", "tr", "dd", "legend"};
constexpr std::array<std::string_view, 12> kVoid = {"br",   "hr",   "img", "input", "meta",  "link",
                                                    "area", "base", "col", "embed", "param", "wbr"};
// Elements whose class or id may drop them: all need an end tag, so the matching end can be counted.
constexpr std::array<std::string_view, 9> kClassed = {"div", "span",    "table",  "ul", "ol",
                                                      "a",   "section", "header", "dl"};
constexpr std::array<std::string_view, 10> kNoise = {"nav",    "toc",  "footer",     "sidebar", "headerlink",
                                                     "search", "menu", "breadcrumb", "related", "copiable"};

struct Entity {
  std::string_view name;
  uint32_t code;
};
constexpr std::array<Entity, 38> kEntities = {
    {{"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},     {"apos", '\''},    {"nbsp", ' '},
     {"copy", 0xA9},    {"reg", 0xAE},     {"ndash", 0x2013},  {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
     {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"hellip", 0x2026}, {"bull", 0x2022},  {"middot", 0xB7},  {"times", 0xD7},
     {"divide", 0xF7},  {"plusmn", 0xB1},  {"deg", 0xB0},      {"sect", 0xA7},    {"para", 0xB6},    {"laquo", 0xAB},
     {"raquo", 0xBB},   {"le", 0x2264},    {"ge", 0x2265},     {"ne", 0x2260},    {"rarr", 0x2192},  {"larr", 0x2190},
     {"eacute", 0xE9},  {"egrave", 0xE8},  {"ouml", 0xF6},     {"uuml", 0xFC},    {"auml", 0xE4},    {"szlig", 0xDF},
     {"trade", 0x2122}, {"infin", 0x221E}}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// The character reference at html[i] == '&'; moves i past it. An unknown one stays as it is written.
void append_entity(std::string_view html, size_t& i, std::string& out) {
  size_t end = html.find(';', i);
  if (end == std::string_view::npos || end - i > 10 || end - i < 2) {
    out += html[i++];
    return;
  }
  std::string_view name = html.substr(i + 1, end - i - 1);
  if (name[0] == '#') {
    bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    uint32_t code = 0;
    bool valid = name.size() > (hex ? 2 : 1);
    for (char c : name.substr(hex ? 2 : 1)) {
      uint32_t digit = c >= '0' && c <= '9'                        ? static_cast<uint32_t>(c - '0')
                       : hex && (c | 32) >= 'a' && (c | 32) <= 'f' ? static_cast<uint32_t>((c | 32) - 'a' + 10)
                                                                   : 99;
      valid = valid && digit != 99 && code < 0x110000;
      if (valid) code = code * (hex ? 16 : 10) + digit;
    }
    if (valid) {
      append_utf8(out, code);
      i = end + 1;
      return;
    }
  }
  for (const Entity& entity : kEntities) {
    if (entity.name == name) {
      append_utf8(out, entity.code);
      i = end + 1;
      return;
    }
  }
  out += html[i++];
}

struct Tag {
  std::string name;
  std::string_view attributes;
  bool closing = false;
  bool self_closing = false;
};

// The tag at html[i] == '<'; moves i past it. name is empty for comments, declarations and stray signs.
Tag read_tag(std::string_view html, size_t& i) {
  Tag tag;
  if (html.substr(i, 4) == "<!--") {
    size_t end = html.find("-->", i + 4);
    i = end == std::string_view::npos ? html.size() : end + 3;
    return tag;
  }
  size_t end = i + 1;
  char quote = 0;
  for (; end < html.size() && (quote || html[end] != '>'); ++end) {
    char c = html[end];
    if (quote) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && html[end - 1] == '=') {
      quote = c;
    }
  }
  std::string_view body = html.substr(i + 1, end - i - 1);
  i = std::min(end + 1, html.size());
  if (!body.empty() && body[0] == '/') {
    tag.closing = true;
    body.remove_prefix(1);
  }
  size_t n = 0;
  while (n < body.size() && (isalnum(static_cast<unsigned char>(body[n])) || body[n] == ':')) ++n;
  tag.name = lower(body.substr(0, n));
  tag.attributes = body.substr(n);
  tag.self_closing = !body.empty() && body.back() == '/';
  return tag;
}

bool is_noise(const Tag& tag) {
  std::string attributes = lower(tag.attributes);
  for (std::string_view key : {"class=", "id=", "role="}) {
    for (size_t at = attributes.find(key); at != std::string::npos; at = attributes.find(key, at + 1)) {
      size_t begin = at + key.size();
      if (begin >= attributes.size()) break;
      char quote = attributes[begin];
      bool quoted = quote == '"' || quote == '\'';
      size_t end = quoted ? attributes.find(quote, begin + 1) : attributes.find_first_of(" \t\n/", begin);
      std::string value = attributes.substr(begin, end == std::string::npos ? end : end - begin);
      // An id such as "search-path" names the section of a manual, not navigation: ids must match whole.
      for (std::string_view noise : kNoise) {
        if (key == "id=" ? trim(quoted && value.size() > 1 ? value.substr(1) : value) == noise
                         : value.find(noise) != std::string::npos) {
          return true;
        }
      }
    }
  }
  return false;
}

class HtmlReader {
 public:
  std::string read(std::string_view html) {
    size_t i = 0;
    while (i < html.size()) {
      char c = html[i];
      if (c == '<' && i + 1 < html.size() &&
          (isalpha(static_cast<unsigned char>(html[i + 1])) || html[i + 1] == '/' || html[i + 1] == '!' ||
           html[i + 1] == '?')) {
        on_tag(read_tag(html, i));
        if (skipping_ == "script" || skipping_ == "style") i = std::min(html.find("</", i), html.size());
        continue;
      }
      if (!skipping_.empty()) {
        ++i;
        continue;
      }
      if (c == '&') {
        flush_space();
        append_entity(html, i, out_);
        continue;
      }
      ++i;
      if (pre_ == 0 && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
        space_ = true;
      } else {
        flush_space();
        out_ += c;
      }
    }
    return std::move(out_);
  }

 private:
  void flush_space() {
    if (space_ && !out_.empty() && out_.back() != '\n' && out_.back() != ' ') out_ += ' ';
    space_ = false;
  }
  void end_line(int newlines) {
    space_ = false;
    if (out_.empty()) return;
    int have = 0;
    while (have < 2 && have < static_cast<int>(out_.size()) &&
           out_[out_.size() - 1 - static_cast<size_t>(have)] == '\n') {
      ++have;
    }
    for (; have < newlines; ++have) out_ += '\n';
  }
  void on_tag(const Tag& tag) {
    if (tag.name.empty()) return;
    if (!skipping_.empty()) {
      if (tag.name == skipping_ && !tag.self_closing) depth_ += tag.closing ? -1 : 1;
      if (depth_ == 0) skipping_.clear();
      return;
    }
    bool is_void = tag.self_closing || one_of(tag.name, kVoid);
    if (!tag.closing && !is_void && (one_of(tag.name, kDroppedTags) || (one_of(tag.name, kClassed) && is_noise(tag)))) {
      skipping_ = tag.name;
      depth_ = 1;
      return;
    }
    if (tag.name == "pre") pre_ = tag.closing ? std::max(0, pre_ - 1) : pre_ + 1;
    if (one_of(tag.name, kBlocks)) {
      end_line(2);
    } else if (one_of(tag.name, kLines)) {
      if (tag.name != "dd" || tag.closing) end_line(1);
      if (tag.name == "li" && !tag.closing) out_ += "- ";
      if (tag.name == "dd" && !tag.closing) end_line(1);
    } else if ((tag.name == "td" || tag.name == "th") && !tag.closing) {
      if (!out_.empty() && out_.back() != '\n') out_ += "  ";
      space_ = false;
    }
  }

  std::string out_;
  std::string skipping_;  // the dropped element we are in
  int depth_ = 0;         // of nested elements of that name
  int pre_ = 0;
  bool space_ = false;
};

// A paragraph right after "- " belongs to the list item: "- \n\ntext" becomes "- text". Empty items go.
std::string join_list_items(const std::string& text) {
  std::string out;
  bool bullet = false;
  for (std::string_view line : split_lines(text)) {
    std::string_view content = trim(line);
    if (content == "-" || (bullet && content.empty())) {
      bullet = true;
      continue;
    }
    if (bullet) out += "- ";
    bullet = false;
    out += line;
    out += '\n';
  }
  return out;
}

}  // namespace

std::string html_to_text(std::string_view html) {
  HtmlReader reader;
  return join_list_items(reader.read(to_utf8(html)));
}

}  // namespace unha::corpus
