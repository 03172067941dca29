// SPDX-License-Identifier: Apache-2.0
// What a loaded Tokenizer is made of. Private to tokenizer.cc and tokenizer_loader.cc.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace unha {

// Working memory of one encode call. Calls that run at once each have their own; it outlives the call for its caches.
struct EncodeScratch {
  PreTokenizer::Scratch pre_tokenizer;
  Bpe::Scratch bpe;
  std::vector<TextPart> raw_parts;
  std::vector<TextPart> normalized_parts;
};

class ScratchPool {
 public:
  std::unique_ptr<EncodeScratch> take();
  void give_back(std::unique_ptr<EncodeScratch> scratch);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> free_;
};

struct Tokenizer::Impl {
  struct Token {
    std::string string;  // as the file spells it
    std::string bytes;
    bool present = false;
    bool added = false;
    bool special = false;
  };

  Impl(PreTokenizer pre, Bpe model) : pre_tokenizer(std::move(pre)), bpe(std::move(model)) {}

  std::string json;
  std::string sha256;
  std::vector<Token> tokens;  // by id
  std::unordered_map<std::string, int32_t> ids;
  AddedTokenSet raw_added;
  AddedTokenSet normalized_added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  std::vector<int32_t> prefix;  // what the post-processor puts around the ids
  std::vector<int32_t> suffix;
  mutable ScratchPool pool;

  const Token* token(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens.size() && tokens[id].present ? &tokens[id] : nullptr;
  }
  void encode_words(std::string_view text, EncodeScratch& scratch, std::vector<int32_t>& out) const;
  // Normalizes a piece of text and encodes it, looking for added tokens in the normalized form if asked.
  void encode_piece(std::string_view text, bool parse_added, EncodeScratch& scratch, std::vector<int32_t>& out) const;
};

}  // namespace unha
