// SPDX-License-Identifier: Apache-2.0
// Any bytes are either a safetensors file whose tensors lie inside them, or an Error.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = std::as_bytes(std::span(data, size));
  try {
    unha::SafetensorsContent content = unha::parse_safetensors(file, "fuzz");
    int64_t sum = 0;
    for (const auto& [name, info] : content.tensors) {
      UNHA_CHECK(info.data >= file.data() + 8 && info.data + info.bytes <= file.data() + size, "{} is outside", name);
      int64_t bytes = unha::dtype_bytes(info.dtype);
      for (int64_t length : info.shape) bytes *= length;
      UNHA_CHECK(bytes == info.bytes, "{}: shape against bytes", name);
      sum += info.bytes;
    }
    UNHA_CHECK(sum + 8 <= static_cast<int64_t>(size), "more data than file");
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
