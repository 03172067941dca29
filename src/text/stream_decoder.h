// SPDX-License-Identifier: Apache-2.0
// Text of a stream of ids: what can be shown after each id. Bytes of an incomplete character are held back; a part
// that can no longer become a character turns into U+FFFD at once.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace unha {

class StreamDecoder {
 public:
  // The tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that the next id completes; may be empty.
  std::string push(int32_t id);
  // What is left at the end of the stream: nothing, or U+FFFD for an unfinished character.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string held_;
};

}  // namespace unha
