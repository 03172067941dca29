// SPDX-License-Identifier: Apache-2.0
// The bytes of a token shard, version 1; docs/format.md says the same in words. Little-endian throughout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/sha256.h"

namespace unha::shard_format {

constexpr std::string_view kMagic = "UNHATOK1";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kNoMask = ~uint64_t{0};

struct Header {
  std::array<char, 8> magic{};
  uint32_t version = kVersion;
  uint32_t id_bytes = 0;  // 2 or 4
  uint64_t vocab = 0;     // ids are below it
  uint64_t documents = 0;
  uint64_t tokens = 0;
  uint64_t text_bytes = 0;
  uint64_t mask_bytes = 0;
  uint64_t names_bytes = 0;
  uint64_t sources = 0;
  std::array<uint8_t, 32> tokenizer_sha256{};
  std::array<uint8_t, 32> payload_sha256{};  // of ids, masks and padding
  std::array<uint8_t, 24> reserved{};        // zero
  std::array<uint8_t, 32> index_sha256{};    // of the header up to here, index and names
};
static_assert(sizeof(Header) == 192);

struct Record {
  uint64_t first_token = 0;
  uint64_t mask_begin = kNoMask;  // byte within the masks
  uint32_t tokens = 0;
  uint32_t text_bytes = 0;
  uint32_t source = 0;
  uint8_t kind = 0;
  std::array<uint8_t, 3> reserved{};  // zero
};
static_assert(sizeof(Record) == 32);

// Header, ids, masks, padding to 8 bytes, index, names. The caller has bounded the counts by the size of a file.
inline uint64_t index_offset(const Header& h) {
  return (sizeof(Header) + h.tokens * h.id_bytes + h.mask_bytes + 7) / 8 * 8;
}
inline uint64_t file_bytes(const Header& h) { return index_offset(h) + h.documents * sizeof(Record) + h.names_bytes; }

inline std::string index_digest(const Header& h, std::span<const std::byte> index_and_names) {
  Sha256 sha;
  sha.update(&h, offsetof(Header, index_sha256));
  sha.update(index_and_names.data(), index_and_names.size());
  return sha.hex();
}

}  // namespace unha::shard_format
