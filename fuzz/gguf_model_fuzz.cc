// SPDX-License-Identifier: Apache-2.0
// Any bytes are either a GGUF model whose config builds a model, whose tensors can be widened and whose tokenizer
// encodes, or an Error.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "model/generations.h"
#include "model/gguf_source.h"
#include "text/tokenizer.h"

namespace {

// A file in memory that is used again and again.
struct MemoryFile {
  int fd = ::memfd_create("gguf", 0);
  std::string path = "/proc/self/fd/" + std::to_string(fd);

  bool write(const uint8_t* data, size_t size) const {
    return ::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size);
  }
};

void widen_all(const unha::ModelSource& source) {
  std::vector<float> row;
  for (const unha::SourceTensor* tensor : source.tensors()) {
    const unha::StoredMatrix& m = tensor->matrix;
    if (m.rows == 0 || m.cols == 0) continue;
    row.resize(static_cast<size_t>(m.cols));
    m.widen(0, 0, m.cols, row.data());
    m.widen(m.rows - 1, 0, m.cols, row.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  if (!file.write(data, size)) return 0;
  try {
    auto source = unha::open_gguf_source(file.path);
    widen_all(*source);
    unha::Json config = unha::parse_json(source->read_text("config.json"), "config.json");
    unha::parse_json(source->read_text("tokenizer_config.json"), "tokenizer_config.json");
    auto tokenizer = unha::Tokenizer::parse(source->read_text("tokenizer.json"), "tokenizer.json");
    UNHA_CHECK(tokenizer.size() == config["vocab_size"].get<int64_t>(), "{} tokens", tokenizer.size());
    tokenizer.encode("a b\n");
    auto model = unha::build_model(unha::read_model_config(*source), "config.json");
    std::vector<std::string> misfits;
    model->params().match(*source, &misfits);
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
