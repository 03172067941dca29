// SPDX-License-Identifier: Apache-2.0
// Tokenizer: byte-level BPE as Hugging Face's tokenizer.json describes it.
//
// Text becomes ids in four stages: added tokens matched raw -> normalizer -> added tokens matched normalized ->
// pre-tokenizer -> BPE of each word. Every component the file names is either done or refused by name at load time.
// Markup and user text are different inputs: with parse_added = false no part of the text can become a control token.
// A Tokenizer never changes after it is loaded; encode is safe from many threads at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

struct EncodeOptions {
  bool parse_added = true;   // added tokens in the text are recognised
  bool add_special = false;  // the file's post-processor adds its tokens (BOS in some files)
};

class Tokenizer {
 public:
  // A tokenizer.json, or a folder that holds one.
  static Tokenizer load(const std::filesystem::path& path);
  // json: the file's bytes; name: what errors call it.
  static Tokenizer parse(std::string_view json, const std::string& name);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Error(kInvalidArgument) if text is not well-formed UTF-8.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  // The bytes of the tokens, one after the other. Ids without a token have none; skip_special leaves out tokens that
  // are flagged special.
  std::string decode_bytes(std::span<const int32_t> ids, bool skip_special = false) const;
  // The same as text: each maximal part that is not UTF-8 becomes U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  // Bytes of one token; empty for an id without a token.
  std::string_view token_bytes(int32_t id) const;
  // The token as the file spells it.
  std::string_view token_string(int32_t id) const;
  // Ids are 0 to size() - 1, added tokens included.
  int64_t size() const;
  std::optional<int32_t> id_of(std::string_view token) const;
  bool is_special(int32_t id) const;
  bool is_added(int32_t id) const;

  // The file's bytes and their SHA-256, by which token shards know their tokenizer.
  const std::string& json() const;
  const std::string& sha256() const;

  struct Impl;  // known to tokenizer.cc and tokenizer_loader.cc alone

 private:
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace unha
