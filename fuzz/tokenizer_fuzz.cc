// SPDX-License-Identifier: Apache-2.0
// Any bytes are either a tokenizer.json that encodes and decodes text, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace {

void exercise(const unha::Tokenizer& tokenizer, std::string_view text) {
  try {
    for (bool parse_added : {true, false}) {
      std::vector<int32_t> ids = tokenizer.encode(text, {.parse_added = parse_added, .add_special = parse_added});
      unha::StreamDecoder stream(tokenizer);
      std::string shown;
      for (int32_t id : ids) {
        UNHA_CHECK(id >= 0 && id < tokenizer.size(), "id {} of {}", id, tokenizer.size());
        shown += stream.push(id);
      }
      shown += stream.finish();
      UNHA_CHECK(shown == tokenizer.decode(ids), "the stream differs from the whole");
    }
  } catch (const unha::Error&) {
    // A byte without a symbol, or a pattern that gives up.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    auto tokenizer = unha::Tokenizer::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    exercise(tokenizer, "");
    exercise(tokenizer, "abab cd 12 <x>\n \n\xED\x95\x9C\xE6\xBC\xA2 \xC3\x85");
    exercise(tokenizer, std::string(300, 'a') + std::string(300, ' ') + "b");
    exercise(tokenizer, {reinterpret_cast<const char*>(data), size < 64 ? size : 64});
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
