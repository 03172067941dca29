// SPDX-License-Identifier: Apache-2.0
// Any bytes as an index and up to two shards (io/test_folder.h: "%%%%" between them) are either tensors that lie inside
// the shards that the index names, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/test_folder.h"

namespace {

bool lies_in(const unha::TensorInfo& tensor, const unha::Checkpoint& checkpoint, size_t most) {
  const std::string& file = checkpoint.file_of(tensor);  // fails for a tensor outside of all
  int64_t bytes = unha::dtype_bytes(tensor.dtype);
  for (int64_t length : tensor.shape) bytes *= length;
  return file.starts_with(checkpoint.dir()) && bytes == tensor.bytes && bytes <= static_cast<int64_t>(most);
}

uint32_t read_all(const unha::TensorInfo& tensor) {
  uint32_t sum = 0;
  for (int64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<uint32_t>(tensor.data[i]);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const unha::TestDir folder;
  static volatile uint32_t sink = 0;
  unha::write_pieces(folder, {"model.safetensors.index.json", "a.safetensors", "b.safetensors"},
                     {reinterpret_cast<const char*>(data), size});
  try {
    unha::Checkpoint checkpoint = unha::Checkpoint::open(folder.path());
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      UNHA_CHECK(name == tensor.name && lies_in(tensor, checkpoint, size), "{} is outside", name);
      sink = sink + read_all(tensor);
    }
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
