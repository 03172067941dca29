// SPDX-License-Identifier: Apache-2.0
// The GGUF container, versions 2 and 3, little-endian: magic, version, counts; metadata as typed values under keys;
// a table of tensors; padding; data. Reading maps the file and checks every count, length, offset and product against
// the bytes that are there before it is used; what comes out is views, so nothing is allocated that a length claims.
//
// Strings that name things (keys, tensors) must be UTF-8; other strings are checked by whoever asks for them, so that
// an odd path in a note does not make a model unreadable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "tensor/format.h"

namespace unha {

enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};
std::string_view gguf_type_name(GgufType type);

// A value in the mapped file. An array has the type of its elements and their number; a scalar is an array of one.
struct GgufValue {
  GgufType type = GgufType::kU8;  // never kArray
  bool array = false;
  int64_t count = 1;
  const std::byte* data = nullptr;  // any alignment; strings: u64 length and bytes, one after the other
};

// The metadata of one file. Getters throw Error(kInvalidArgument) that names file and key: absent though required, of
// another type than asked for, out of range, not UTF-8.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  const std::map<std::string, GgufValue>& values() const { return values_; }
  bool has(const std::string& key) const { return values_.contains(key); }

  // Any whole-number type, within [low, high].
  int64_t require_int(const std::string& key, int64_t low, int64_t high) const;
  int64_t get_int(const std::string& key, int64_t fallback, int64_t low, int64_t high) const {
    return has(key) ? require_int(key, low, high) : fallback;
  }
  // A finite F32 or F64. An F32 becomes the double that its shortest decimal spelling means: 1e-6, not 9.99999997e-07.
  double require_float(const std::string& key) const;
  double get_float(const std::string& key, double fallback) const { return has(key) ? require_float(key) : fallback; }
  bool get_bool(const std::string& key, bool fallback) const;
  std::string require_string(const std::string& key) const;
  std::vector<std::string_view> require_strings(const std::string& key) const;  // an array; views into the file
  std::vector<int64_t> require_ints(const std::string& key) const;              // an array of any whole-number type

  [[noreturn]] void fail(const std::string& key, const std::string& problem) const;

 private:
  friend class GgufParser;
  const GgufValue& at(const std::string& key, bool array, std::string_view expected) const;

  std::string file_;
  std::map<std::string, GgufValue> values_;
};

struct GgufTensor {
  std::string name;
  Format format = Format::kF32;
  std::vector<int64_t> shape;       // row-major, the contiguous dimension last: ggml's dimensions reversed
  const std::byte* data = nullptr;  // into the mapped file
  int64_t bytes = 0;
};

struct GgufContent {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in order of the table
};

// The content of a whole file in memory; `name` is for messages. Error(kCorrupt) names it and the key or tensor at
// fault; Error(kUnsupported) for versions, tensor types and nested arrays that the format has and we do not.
GgufContent parse_gguf(std::span<const std::byte> file, const std::string& name);

class GgufFile {
 public:
  static GgufFile open(const std::string& path);

  const GgufMetadata& metadata() const { return content_.metadata; }
  const std::vector<GgufTensor>& tensors() const { return content_.tensors; }
  const std::string& path() const { return file_.path(); }

 private:
  GgufFile(MappedFile file, GgufContent content) : file_(std::move(file)), content_(std::move(content)) {}
  MappedFile file_;
  GgufContent content_;
};

// A model that may be cut into NAME-00001-of-0000N.gguf. path: the file, the first of a split one, or a directory with
// the files of one model. Error(kNotFound) names every part that is not there. Tensors have different names, and their
// number is what split.tensors.count says.
std::vector<GgufFile> open_gguf_files(const std::string& path);

}  // namespace unha
