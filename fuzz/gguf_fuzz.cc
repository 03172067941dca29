// SPDX-License-Identifier: Apache-2.0
// Any bytes are either a GGUF file whose values can be asked for and whose tensors lie inside it, or an Error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "io/gguf.h"

namespace {

// Every getter on every key: a value or an Error.
void ask_all(const unha::GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata.values()) {
    for (int getter = 0; getter < 6; ++getter) {
      try {
        if (getter == 0) metadata.require_int(key, INT64_MIN, INT64_MAX);
        if (getter == 1) metadata.require_float(key);
        if (getter == 2) metadata.get_bool(key, false);
        if (getter == 3) metadata.require_string(key);
        if (getter == 4) metadata.require_strings(key);
        if (getter == 5) metadata.require_ints(key);
      } catch (const unha::Error&) {
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = std::as_bytes(std::span(data, size));
  try {
    unha::GgufContent content = unha::parse_gguf(file, "fuzz");
    int64_t sum = 0;
    for (const unha::GgufTensor& tensor : content.tensors) {
      UNHA_CHECK(tensor.data >= file.data() && tensor.data + tensor.bytes <= file.data() + size, "{} is outside",
                 tensor.name);
      int64_t rows = 1;
      for (int64_t length : tensor.shape) rows *= length;
      int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
      if (cols != 0) rows /= cols;
      UNHA_CHECK(rows * unha::format_row_bytes(tensor.format, cols) == tensor.bytes, "{}: shape against bytes",
                 tensor.name);
      sum += tensor.bytes;
    }
    UNHA_CHECK(sum <= static_cast<int64_t>(size), "more data than file");
    ask_all(content.metadata);
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
