// SPDX-License-Identifier: Apache-2.0
// The tokenizer files of a GGUF model, written from its tokenizer.ggml.* keys as Tokenizer and TokenizerConfig read
// them.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "model/gguf_model.h"

namespace unha {

struct GgufTokenizer {
  std::string json;                  // tokenizer.json; empty if it is refused
  std::string config;                // tokenizer_config.json
  std::optional<Error> unsupported;  // a kind of tokenizer that we do not have: the weights may be used all the same
};

// rows: of the embedding, which has one for each token. Error(kInvalidArgument) names the key at fault.
GgufTokenizer gguf_tokenizer(const GgufModel& model, int64_t rows);

}  // namespace unha
