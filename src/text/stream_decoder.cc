// SPDX-License-Identifier: Apache-2.0
#include "text/stream_decoder.h"

#include <utility>

#include "text/utf8.h"

namespace unha {

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return "";
  held_ += tokenizer_.token_bytes(id);
  size_t keep = incomplete_utf8_tail(held_);
  std::string text = lossy_utf8(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return text;
}

std::string StreamDecoder::finish() { return lossy_utf8(std::exchange(held_, "")); }

}  // namespace unha
