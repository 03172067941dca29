// SPDX-License-Identifier: Apache-2.0
// TokenShardWriter: ids are streamed behind an empty header; masks, index and names follow, the header comes last.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "io/token_shard_format.h"
#include "io/token_shards.h"

namespace unha {

using shard_format::Header;
using shard_format::Record;

namespace {
std::array<uint8_t, 32> digest_bytes(const std::string& hex) {
  std::array<uint8_t, 32> bytes{};
  bool ok = hex.size() == 64;
  for (size_t i = 0; ok && i < bytes.size(); ++i) {
    const char* from = hex.data() + 2 * i;
    ok = std::from_chars(from, from + 2, bytes[i], 16).ptr == from + 2;
  }
  UNHA_CHECK(ok, "not a SHA-256: {}", hex);
  return bytes;
}

uint32_t bounded(int64_t count, const char* what, const std::string& source) {
  if (count < 0 || count > int64_t{UINT32_MAX}) {
    throw_error(ErrorCode::kUnsupported, "a document of {} has {} {}, at most {} fit a token shard",
                quoted_name(source), count, what, UINT32_MAX);
  }
  return static_cast<uint32_t>(count);
}
}  // namespace

struct TokenShardWriter::Impl {
  std::unique_ptr<FileSystem> own;
  AtomicFile file;
  FileWriter writer;
  Header header;
  std::vector<Record> index;
  std::vector<uint8_t> masks;
  std::unordered_map<std::string, uint32_t> sources;
  std::string names;

  Impl(std::unique_ptr<FileSystem> own_fs, FileSystem* fs, const std::string& path)
      : own(std::move(own_fs)), file(fs != nullptr ? *fs : *own, path), writer(file.file(), sizeof(Header)) {}

  void start(const std::string& tokenizer_sha256, int64_t vocab) {
    UNHA_CHECK(vocab > 0 && vocab <= int64_t{INT32_MAX}, "token shard: vocabulary of {}", vocab);
    std::copy(shard_format::kMagic.begin(), shard_format::kMagic.end(), header.magic.begin());
    header.id_bytes = vocab <= 65536 ? 2 : 4;
    header.vocab = static_cast<uint64_t>(vocab);
    header.tokenizer_sha256 = digest_bytes(tokenizer_sha256);
  }

  uint32_t source_number(const std::string& name) {
    auto [place, added] = sources.emplace(name, static_cast<uint32_t>(sources.size()));
    if (added) {
      auto length = bounded(static_cast<int64_t>(name.size()), "bytes in its name", name);
      names.append(reinterpret_cast<const char*>(&length), 4);
      names += name;
    }
    return place->second;
  }

  void write_ids(std::span<const int32_t> ids) {
    for (int32_t id : ids) {
      UNHA_CHECK(id >= 0 && static_cast<uint64_t>(id) < header.vocab, "token shard: id {} of {}", id, header.vocab);
    }
    if (header.id_bytes == 4) {
      writer.write(ids.data(), static_cast<int64_t>(ids.size_bytes()));
      return;
    }
    std::vector<uint16_t> narrow(ids.begin(), ids.end());
    writer.write(narrow.data(), static_cast<int64_t>(2 * narrow.size()));
  }

  uint64_t add_mask(std::span<const uint8_t> mask) {
    uint64_t begin = masks.size();
    masks.resize(begin + (mask.size() + 7) / 8);
    for (size_t k = 0; k < mask.size(); ++k) {
      UNHA_CHECK(mask[k] <= 1, "token shard: mask value {}", mask[k]);
      masks[begin + k / 8] = static_cast<uint8_t>(masks[begin + k / 8] | (mask[k] << (k % 8)));
    }
    return begin;
  }

  std::string finish() {
    header.documents = index.size();
    header.mask_bytes = masks.size();
    header.names_bytes = names.size();
    header.sources = sources.size();
    writer.write(masks.data(), static_cast<int64_t>(masks.size()));
    auto offset = static_cast<int64_t>(shard_format::index_offset(header));
    writer.write("\0\0\0\0\0\0\0", offset - writer.position());
    header.payload_sha256 = digest_bytes(writer.finish());

    std::string tail(reinterpret_cast<const char*>(index.data()), index.size() * sizeof(Record));
    tail += names;
    std::string digest = shard_format::index_digest(header, std::as_bytes(std::span(tail.data(), tail.size())));
    header.index_sha256 = digest_bytes(digest);
    file.file().write_all(offset, tail.data(), static_cast<int64_t>(tail.size()));
    file.file().write_all(0, &header, sizeof(Header));
    file.commit();
    return digest;
  }
};

TokenShardWriter::TokenShardWriter(const std::string& path, const std::string& tokenizer_sha256, int64_t vocab)
    : impl_(std::make_unique<Impl>(std::make_unique<PosixFileSystem>(), nullptr, path)) {
  impl_->start(tokenizer_sha256, vocab);
}

TokenShardWriter::TokenShardWriter(FileSystem& fs, const std::string& path, const std::string& tokenizer_sha256,
                                   int64_t vocab)
    : impl_(std::make_unique<Impl>(nullptr, &fs, path)) {
  impl_->start(tokenizer_sha256, vocab);
}

TokenShardWriter::~TokenShardWriter() = default;

void TokenShardWriter::append(const TokenDocument& document) {
  UNHA_CHECK(impl_ != nullptr, "token shard: append after finish");
  UNHA_CHECK(document.mask.empty() || document.mask.size() == document.ids.size(), "token shard: mask of {} for {} ids",
             document.mask.size(), document.ids.size());
  Record record;
  record.first_token = impl_->header.tokens;
  record.tokens = bounded(static_cast<int64_t>(document.ids.size()), "tokens", document.source);
  record.text_bytes = bounded(document.text_bytes, "bytes of text", document.source);
  record.source = impl_->source_number(document.source);
  record.kind = static_cast<uint8_t>(document.kind);
  impl_->write_ids(document.ids);
  if (!document.mask.empty()) record.mask_begin = impl_->add_mask(document.mask);
  impl_->index.push_back(record);
  impl_->header.tokens += record.tokens;
  impl_->header.text_bytes += record.text_bytes;
}

int64_t TokenShardWriter::documents() const { return static_cast<int64_t>(impl_->index.size()); }
int64_t TokenShardWriter::tokens() const { return static_cast<int64_t>(impl_->header.tokens); }

std::string TokenShardWriter::finish() {
  UNHA_CHECK(impl_ != nullptr, "token shard: finished twice");
  std::string digest = impl_->finish();
  impl_.reset();
  return digest;
}

}  // namespace unha
