// SPDX-License-Identifier: Apache-2.0
// R's lazy-load databases (.rdb): compressed records one after another; we take the strings of each record in order.
// Strings are found by their CHARSXP flag word, so no R type system is needed.
#include <string>
#include <string_view>

#include "corpus/bytes.h"
#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/files.h"

namespace unha::corpus {
namespace {

constexpr size_t kMinObjectBytes = 1024;

// CHARSXP in R's XDR serialisation: type 9, level bits for the encoding (ASCII, UTF-8, Latin-1, native).
bool is_charsxp(std::string_view flags) {
  return flags.size() == 4 && flags[0] == 0 && flags[3] == 9 &&
         ((flags[1] == 4 && flags[2] == 0) ||
          (flags[1] == 0 && (flags[2] == '\x80' || flags[2] == '\x40' || flags[2] == 0)));
}

std::string strings_of(std::string_view record, const std::string& what) {
  ByteReader reader(record, what);
  std::string out;
  for (size_t i = 0; i + 8 <= record.size();) {
    uint64_t length = reader.big(i + 4, 4);
    if (!is_charsxp(record.substr(i, 4)) || length > record.size() - i - 8) {
      ++i;
      continue;
    }
    out += record.substr(i + 8, length);
    out += '\n';
    i += 8 + length;
  }
  return out;
}

}  // namespace

void extract_rdata(std::string_view rdb, const std::string& name, const DocumentSink& sink) {
  ByteReader reader(rdb, name);
  uint64_t at = 0;
  int64_t number = 0;
  while (at + 4 < rdb.size()) {
    at += 4;  // the size after decompression: not needed, so not believed
    int64_t used = 0;
    std::string what = name + " record " + std::to_string(number++);
    std::string record;
    char type = rdb[at];
    if (type == 'Z') {
      record = unlzma_raw(rdb.substr(at + 1), what, &used);
      ++used;
    } else if (type == '2') {
      throw_error(ErrorCode::kUnsupported, "{}: is compressed with bzip2, which is not read here", what);
    } else {
      record = inflate_all(rdb.substr(at), what, &used);
    }
    at += static_cast<uint64_t>(used);
    std::string text = strings_of(record, what);
    if (text.size() >= kMinObjectBytes) sink({what, std::move(text)});
  }
}

}  // namespace unha::corpus
