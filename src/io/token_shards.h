// SPDX-License-Identifier: Apache-2.0
// Tokenized documents on disk: what `unha corpus build` writes and training reads. A shard is one mapped file with a
// magic, a version, the tokenizer's SHA-256 and an index of documents; several shards of a folder, in order of name,
// read as one list of documents. The bytes are in docs/format.md.
//
// Header and index are protected by a SHA-256 that is checked on opening; ids by one that verify() checks, and by
// validate(vocab), which a reader calls once before it feeds ids to a model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "io/file.h"

namespace unha {

// Values are in files: append, never renumber.
enum class DocumentKind : uint8_t {
  kText = 0,  // running text: loss on every token
  kChat = 1,  // a conversation: loss where the mask is set
};

struct TokenDocument {
  std::string source;  // where it comes from, for statistics
  DocumentKind kind = DocumentKind::kText;
  std::span<const int32_t> ids;   // from 0 up
  std::span<const uint8_t> mask;  // empty: loss on every token; else one value (0 or 1) per id
  int64_t text_bytes = 0;         // of the text that the ids stand for, for bits per byte
};

// Streams documents into one shard, which appears with finish() or not at all. Only the index is held in memory
// (32 bytes per document, one bit per masked token).
class TokenShardWriter {
 public:
  // tokenizer_sha256: 64 hex digits. vocab: ids are below it; at most 65536 makes 2-byte ids.
  TokenShardWriter(const std::string& path, const std::string& tokenizer_sha256, int64_t vocab);
  TokenShardWriter(FileSystem& fs, const std::string& path, const std::string& tokenizer_sha256, int64_t vocab);
  ~TokenShardWriter();
  void append(const TokenDocument& document);
  int64_t documents() const;
  int64_t tokens() const;
  // Returns the SHA-256 that the header ends with; it covers every byte of the shard.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct DocumentInfo {
  int64_t tokens = 0;
  int64_t text_bytes = 0;
  DocumentKind kind = DocumentKind::kText;
  int64_t source = 0;  // into sources()
  bool masked = false;
};

class TokenShards {
 public:
  // One shard, or a folder: all its *.shard files, in order of name. Error(kCorrupt) names the file and the misfit.
  static TokenShards open(const std::string& path);
  TokenShards(TokenShards&&) noexcept;
  TokenShards& operator=(TokenShards&&) noexcept;
  ~TokenShards();

  int64_t documents() const { return first_document_.back(); }
  int64_t tokens() const { return tokens_; }
  int64_t text_bytes() const { return text_bytes_; }
  const std::vector<std::string>& sources() const { return sources_; }  // distinct, in order of first use
  const std::string& tokenizer_sha256() const { return tokenizer_; }
  // SHA-256 over the digests of the shards in order, each of which covers all its bytes: the identity of the data.
  const std::string& digest() const { return digest_; }

  DocumentInfo document(int64_t i) const;
  // Ids [begin, begin + count) of document i, cut at its end; returns how many.
  int64_t copy_ids(int64_t i, int64_t begin, int64_t count, int32_t* out) const;
  // The same of its loss mask, 0 or 1; all ones where the document has none.
  int64_t copy_mask(int64_t i, int64_t begin, int64_t count, uint8_t* out) const;

  // Error(kInvalidArgument) with a hint unless the shards were made with this tokenizer.
  void require_tokenizer(const std::string& sha256) const;
  // Reads all ids: Error(kCorrupt) naming the first that is not below vocab.
  void validate(int64_t vocab) const;
  // Reads everything: Error(kCorrupt) if ids or masks do not have their digest.
  void verify() const;

 private:
  struct Shard;
  struct Place {
    const Shard* shard;
    int64_t index;  // within the shard
  };
  TokenShards();
  void add(const std::string& path);
  Place place(int64_t i) const;

  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<int64_t> first_document_ = {0};  // of each shard, and the total
  std::vector<std::string> sources_;
  int64_t tokens_ = 0;
  int64_t text_bytes_ = 0;
  std::string tokenizer_, digest_;
};

}  // namespace unha
