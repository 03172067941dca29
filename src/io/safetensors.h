// SPDX-License-Identifier: Apache-2.0
// The safetensors container: u64 header length, JSON header, data. Reading maps the file and checks everything first;
// what comes out is views. The rules are the format's own: tensors sorted by offset tile the data exactly, without
// hole, overlap or trailing byte; the header starts with '{' and may end in spaces only.
//
// TensorInfo::data has whatever alignment the file gives it (none at all is legal): copy with memcpy, or check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "tensor/dtype.h"

namespace unha {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;  // into the mapped file
  int64_t bytes = 0;

  int64_t elements() const { return bytes / dtype_bytes(dtype); }
};

using TensorMap = std::map<std::string, TensorInfo>;

struct SafetensorsContent {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

// The content of a whole file in memory; `name` is for messages. Error(kCorrupt) names it and the tensor at fault;
// Error(kUnsupported) for an element type that the format has and we do not.
SafetensorsContent parse_safetensors(std::span<const std::byte> file, const std::string& name);

class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::string& path) { return open(MappedFile::open(path)); }
  static SafetensorsFile open(MappedFile file);

  const TensorMap& tensors() const { return content_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }
  // nullptr if there is none of that name.
  const TensorInfo* find(const std::string& name) const;
  const std::string& path() const { return file_.path(); }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  SafetensorsFile(MappedFile file, SafetensorsContent content) : file_(std::move(file)), content_(std::move(content)) {}
  MappedFile file_;
  SafetensorsContent content_;
};

// One tensor to be written: `data` points at all of it, or `fill` produces the elements [begin, begin + count) into
// `out` (dense, little-endian, any alignment), called with ascending ranges; so a conversion needs no second copy.
struct TensorSource {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
  std::function<void(int64_t begin, int64_t count, std::byte* out)> fill;
};

// Writes the container through `writer`. The bytes depend on the content only: data in order of (element size
// descending, name), so that every tensor is aligned to its element; header keys in the same order.
void write_safetensors(FileWriter& writer, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
// The same as a file that appears whole or not at all. Returns the SHA-256 of its bytes.
std::string write_safetensors(const std::string& path, std::vector<TensorSource> tensors,
                              const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
std::string write_safetensors(FileSystem& fs, const std::string& path, std::vector<TensorSource> tensors,
                              const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace unha
