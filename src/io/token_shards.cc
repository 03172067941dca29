// SPDX-License-Identifier: Apache-2.0
#include "io/token_shards.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "io/token_shard_format.h"

namespace unha {

using shard_format::Header;
using shard_format::kNoMask;
using shard_format::Record;

struct TokenShards::Shard {
  MappedFile file;
  Header header;
  const std::byte* ids = nullptr;
  const std::byte* masks = nullptr;
  const std::byte* index = nullptr;
  std::vector<int64_t> sources;  // local number -> number in TokenShards::sources_

  Record record(int64_t i) const {
    Record record;
    std::memcpy(&record, index + i * int64_t{sizeof(Record)}, sizeof(Record));
    return record;
  }
  std::span<const std::byte> payload() const { return {ids, index}; }
};

namespace {
[[noreturn]] void corrupt(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::kCorrupt, fmt::format("{}: {}", path, problem), "build the corpus again (unha corpus build)");
}

Header read_header(const MappedFile& file) {
  Header header;
  if (file.size() < int64_t{sizeof(Header)} ||
      std::memcmp(file.data(), shard_format::kMagic.data(), shard_format::kMagic.size()) != 0) {
    corrupt(file.path(), "not a token shard: it does not begin with " + std::string(shard_format::kMagic));
  }
  std::memcpy(&header, file.data(), sizeof(Header));
  if (header.version != shard_format::kVersion) {
    throw_error(ErrorCode::kUnsupported, "{}: expected token shard version {}, found {}", file.path(),
                shard_format::kVersion, header.version);
  }
  auto size = static_cast<uint64_t>(file.size());
  bool sane = (header.id_bytes == 2 || header.id_bytes == 4) && header.tokens <= size / header.id_bytes &&
              header.documents <= size / sizeof(Record) && header.mask_bytes <= size && header.names_bytes <= size &&
              header.sources <= size / 4;
  if (!sane || shard_format::file_bytes(header) != size) {
    corrupt(file.path(),
            fmt::format("expected {} bytes by the header, found {}: cut short or damaged",
                        sane ? fmt::format("{}", shard_format::file_bytes(header)) : "no such number of", size));
  }
  return header;
}

std::vector<std::string> parse_names(std::span<const std::byte> bytes, uint64_t count, const std::string& path) {
  std::vector<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (bytes.size() < 4) corrupt(path, "the list of sources ends early");
    std::memcpy(&length, bytes.data(), 4);
    bytes = bytes.subspan(4);
    if (bytes.size() < length) corrupt(path, "the list of sources ends early");
    names.emplace_back(reinterpret_cast<const char*>(bytes.data()), length);
    bytes = bytes.subspan(length);
  }
  if (!bytes.empty()) corrupt(path, "bytes after the list of sources");
  return names;
}

std::string hex(const std::array<uint8_t, 32>& bytes) {
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

// Calls f(pointer to ids of type T) for the width of the shard.
template <class F>
auto with_ids(const std::byte* ids, uint32_t id_bytes, const F& f) {
  // The header is 192 bytes of a page-aligned mapping, so ids are aligned to their width.
  return id_bytes == 2 ? f(reinterpret_cast<const uint16_t*>(ids)) : f(reinterpret_cast<const uint32_t*>(ids));
}
}  // namespace

TokenShards::TokenShards() = default;
TokenShards::~TokenShards() = default;
TokenShards::TokenShards(TokenShards&&) noexcept = default;
TokenShards& TokenShards::operator=(TokenShards&&) noexcept = default;

TokenShards TokenShards::open(const std::string& path) {
  TokenShards shards;
  std::vector<std::string> paths;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      std::string name = it->path().filename().string();
      if (name.ends_with(".shard") && name.front() != '.') paths.push_back(path + "/" + name);
    }
    if (error) throw_io_error(error.value(), "list", path);
    std::sort(paths.begin(), paths.end());
    if (paths.empty()) {
      throw Error(ErrorCode::kNotFound, fmt::format("{}: expected *.shard files in it, found none", path),
                  "make them with unha corpus build");
    }
  } else {
    paths.push_back(path);
  }
  Sha256 sha;
  for (const std::string& shard : paths) {
    shards.add(shard);
    sha.update(hex(shards.shards_.back()->header.index_sha256));
  }
  shards.digest_ = sha.hex();
  return shards;
}

void TokenShards::add(const std::string& path) {
  auto shard = std::make_unique<Shard>(Shard{MappedFile::open(path), {}, nullptr, nullptr, nullptr, {}});
  const Header& h = shard->header = read_header(shard->file);
  shard->ids = shard->file.data() + sizeof(Header);
  shard->masks = shard->ids + h.tokens * h.id_bytes;
  shard->index = shard->file.data() + shard_format::index_offset(h);
  auto index_bytes = static_cast<int64_t>(h.documents * sizeof(Record));
  std::span<const std::byte> rest(shard->index, shard->file.data() + shard->file.size());
  if (shard_format::index_digest(h, rest) != hex(h.index_sha256)) {
    corrupt(path, "header and index do not have the SHA-256 that the header states: damaged");
  }
  std::vector<std::string> names = parse_names(rest.subspan(static_cast<size_t>(index_bytes)), h.sources, path);
  uint64_t token = 0;
  uint64_t mask = 0;
  uint64_t text_bytes = 0;
  for (uint64_t i = 0; i < h.documents; ++i) {
    Record r = shard->record(static_cast<int64_t>(i));
    bool ok = r.first_token == token && r.source < names.size() &&
              r.kind <= static_cast<uint8_t>(DocumentKind::kChat) && (r.mask_begin == kNoMask || r.mask_begin == mask);
    if (!ok) corrupt(path, fmt::format("document {}: its index entry does not fit the others", i));
    token += r.tokens;
    if (r.mask_begin != kNoMask) mask += (uint64_t{r.tokens} + 7) / 8;
    text_bytes += r.text_bytes;
  }
  if (token != h.tokens || mask != h.mask_bytes || text_bytes != h.text_bytes) {
    corrupt(path, "the index does not add up to the counts in the header");
  }
  std::string tokenizer = hex(h.tokenizer_sha256);
  if (!shards_.empty() && tokenizer != tokenizer_) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: made with tokenizer {}, but {} with {}", path, tokenizer, shards_.front()->file.path(),
                            tokenizer_),
                "the shards of one folder come from one run of unha corpus build");
  }
  tokenizer_ = tokenizer;
  for (const std::string& name : names) {
    auto found = std::find(sources_.begin(), sources_.end(), name);
    shard->sources.push_back(found - sources_.begin());
    if (found == sources_.end()) sources_.push_back(name);
  }
  first_document_.push_back(documents() + static_cast<int64_t>(h.documents));
  tokens_ += static_cast<int64_t>(h.tokens);
  text_bytes_ += static_cast<int64_t>(h.text_bytes);
  shards_.push_back(std::move(shard));
}

TokenShards::Place TokenShards::place(int64_t i) const {
  UNHA_CHECK(i >= 0 && i < documents(), "document {} of {}", i, documents());
  auto after = std::upper_bound(first_document_.begin(), first_document_.end(), i);
  auto shard = after - first_document_.begin() - 1;
  return {shards_[static_cast<size_t>(shard)].get(), i - first_document_[static_cast<size_t>(shard)]};
}

DocumentInfo TokenShards::document(int64_t i) const {
  Place at = place(i);
  Record r = at.shard->record(at.index);
  return {r.tokens, r.text_bytes, static_cast<DocumentKind>(r.kind), at.shard->sources[r.source],
          r.mask_begin != kNoMask};
}

int64_t TokenShards::copy_ids(int64_t i, int64_t begin, int64_t count, int32_t* out) const {
  Place at = place(i);
  Record r = at.shard->record(at.index);
  UNHA_CHECK(begin >= 0 && begin <= r.tokens && count >= 0, "ids {} of document {} with {}", begin, i, r.tokens);
  count = std::min(count, int64_t{r.tokens} - begin);
  with_ids(at.shard->ids, at.shard->header.id_bytes, [&](const auto* ids) {
    const auto* from = ids + r.first_token + begin;
    for (int64_t k = 0; k < count; ++k) out[k] = static_cast<int32_t>(from[k]);
  });
  return count;
}

int64_t TokenShards::copy_mask(int64_t i, int64_t begin, int64_t count, uint8_t* out) const {
  Place at = place(i);
  Record r = at.shard->record(at.index);
  UNHA_CHECK(begin >= 0 && begin <= r.tokens && count >= 0, "mask {} of document {} with {}", begin, i, r.tokens);
  count = std::min(count, int64_t{r.tokens} - begin);
  if (r.mask_begin == kNoMask) {
    std::fill_n(out, count, uint8_t{1});
    return count;
  }
  const std::byte* bits = at.shard->masks + r.mask_begin;
  for (int64_t k = 0; k < count; ++k) {
    int64_t bit = begin + k;
    out[k] = static_cast<uint8_t>((std::to_integer<unsigned>(bits[bit / 8]) >> (bit % 8)) & 1u);
  }
  return count;
}

void TokenShards::require_tokenizer(const std::string& sha256) const {
  if (sha256 == tokenizer_) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: expected tokens of tokenizer {}, found those of {}", shards_.front()->file.path(),
                          sha256, tokenizer_),
              "use the tokenizer.json that the corpus was built with, or build the corpus again with this one");
}

void TokenShards::validate(int64_t vocab) const {
  for (const auto& shard : shards_) {
    auto tokens = static_cast<int64_t>(shard->header.tokens);
    with_ids(shard->ids, shard->header.id_bytes, [&](const auto* ids) {
      // One pass for the largest, which vectorises; only a bad shard is searched for the place.
      uint32_t largest = 0;
      for (int64_t k = 0; k < tokens; ++k) largest = std::max(largest, uint32_t{ids[k]});
      if (tokens == 0 || largest < vocab) return;
      const auto* bad = std::find_if(ids, ids + tokens, [&](uint32_t id) { return id >= vocab; });
      corrupt(shard->file.path(), fmt::format("token {}: expected an id below {}, found {}", bad - ids, vocab, *bad));
    });
  }
}

void TokenShards::verify() const {
  for (const auto& shard : shards_) {
    Sha256 sha;
    sha.update(shard->payload().data(), shard->payload().size());
    if (sha.hex() != hex(shard->header.payload_sha256)) {
      corrupt(shard->file.path(), "ids and masks do not have the SHA-256 that the header states: damaged");
    }
  }
}

}  // namespace unha
