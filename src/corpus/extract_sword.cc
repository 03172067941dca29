// SPDX-License-Identifier: Apache-2.0
// SWORD modules (zText, zCom, zCom4): verse records point into zlib blocks. Verses of a chapter make one document,
// notes and markup removed; entries that several verses share are taken once.
#include <string>
#include <string_view>
#include <vector>

#include "corpus/bytes.h"
#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/files.h"

namespace unha::corpus {
namespace {

bool starts(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// OSIS and ThML to plain text: notes and titles of the importer vanish, paragraph marks become blank lines.
std::string plain_verse(std::string_view markup) {
  std::string out;
  for (size_t i = 0; i < markup.size();) {
    if (markup[i] == '<') {
      size_t end = markup.find('>', i);
      if (end == std::string_view::npos) break;
      std::string_view tag = markup.substr(i + 1, end - i - 1);
      i = end + 1;
      for (std::string_view dropped : {"note", "reference"}) {
        bool opens = starts(tag, dropped) && (tag.size() == dropped.size() || tag[dropped.size()] == ' ');
        if (opens && tag.back() != '/') {
          size_t close = markup.find("</" + std::string(dropped) + ">", i);
          if (dropped == "note" && close != std::string_view::npos) i = close + dropped.size() + 3;
        }
      }
      bool paragraph = tag.find("type=\"x-p\"") != std::string_view::npos && tag.find("sID") != std::string_view::npos;
      if (paragraph || starts(tag, "lg ") || starts(tag, "title") || starts(tag, "/title") || tag == "p" ||
          tag == "/p") {
        out += "\n\n";
      } else if (starts(tag, "l ") || starts(tag, "lb") || starts(tag, "br") || starts(tag, "item")) {
        if (tag.find("eID") == std::string_view::npos) out += '\n';
      }
      continue;
    }
    if (markup[i] == '&') {
      size_t end = markup.find(';', i);
      std::string_view name =
          end == std::string_view::npos ? "" : markup.substr(i + 1, std::min<size_t>(end - i - 1, 8));
      std::string_view value = name == "amp"    ? "&"
                               : name == "lt"   ? "<"
                               : name == "gt"   ? ">"
                               : name == "quot" ? "\""
                               : name == "apos" ? "'"
                                                : "";
      if (!value.empty()) {
        out += value;
        i = end + 1;
        continue;
      }
    }
    out += markup[i++];
  }
  return out;
}

// Lines trimmed, inner runs of spaces made one.
std::string tidy(std::string_view chapter) {
  std::string out;
  for (std::string_view line : split_lines(chapter)) out += collapse_spaces(line) + "\n";
  return out;
}

}  // namespace

void extract_sword(const SwordFiles& files, const std::string& name, const DocumentSink& sink) {
  ByteReader index(files.blocks, name + " (blocks)");
  ByteReader verses(files.verses, name + " (verses)");
  ByteReader data(files.data, name + " (data)");
  const int width = files.wide_lengths ? 12 : 10;
  const int64_t n_blocks = index.size() / 12;
  std::string block;
  int64_t loaded = -1;
  std::string chapter;
  int64_t number = 0;
  auto flush = [&] {
    std::string text = tidy(chapter);
    chapter.clear();
    if (!trim(text).empty()) sink({name + "#" + std::to_string(number++), std::move(text)});
  };
  uint64_t last_block = ~uint64_t{0};
  uint64_t last_start = 0;
  for (int64_t v = 0; (v + 1) * width <= verses.size(); ++v) {
    auto at = static_cast<uint64_t>(v * width);
    uint64_t block_number = verses.little(at, 4);
    uint64_t start = verses.little(at + 4, 4);
    uint64_t length = verses.little(at + 8, width - 8);
    if (length == 0 || (block_number == last_block && start == last_start)) continue;
    last_block = block_number;
    last_start = start;
    if (block_number >= static_cast<uint64_t>(n_blocks)) {
      throw_error(ErrorCode::kCorrupt, "{}: verse {} names block {} of {}", name, v, block_number, n_blocks);
    }
    if (static_cast<int64_t>(block_number) != loaded) {
      uint64_t record = block_number * 12;
      block = inflate_all(data.slice(index.little(record, 4), index.little(record + 4, 4)), name);
      loaded = static_cast<int64_t>(block_number);
    }
    std::string_view verse = ByteReader(block, name + " (block)").slice(start, length);
    if (verse.find("<chapter ") != std::string_view::npos || chapter.size() > 30000) flush();
    chapter += plain_verse(verse);
    chapter += ' ';
  }
  flush();
}

}  // namespace unha::corpus
