// SPDX-License-Identifier: Apache-2.0
// Bounds-checked reading of untrusted binary files: every access past the end is Error(kCorrupt) that names the file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace unha::corpus {

class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  const std::string& what() const { return what_; }

  // `count` bytes at `offset`.
  std::string_view slice(uint64_t offset, uint64_t count) const {
    if (offset > bytes_.size() || count > bytes_.size() - offset) {
      throw_error(ErrorCode::kCorrupt, "{}: wants {} bytes at {}, but has only {} bytes", what_, count, offset,
                  bytes_.size());
    }
    return bytes_.substr(offset, count);
  }
  uint64_t little(uint64_t offset, int width) const {
    std::string_view s = slice(offset, static_cast<uint64_t>(width));
    uint64_t value = 0;
    for (int i = width; i-- > 0;) value = value << 8 | static_cast<uint8_t>(s[static_cast<size_t>(i)]);
    return value;
  }
  uint64_t big(uint64_t offset, int width) const {
    std::string_view s = slice(offset, static_cast<uint64_t>(width));
    uint64_t value = 0;
    for (char c : s) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }

 private:
  std::string_view bytes_;
  std::string what_;
};

}  // namespace unha::corpus
