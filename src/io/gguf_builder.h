// SPDX-License-Identifier: Apache-2.0
// For tests: GGUF files made in memory, right or deliberately wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"

namespace unha {

template <class T>
std::string raw_bytes(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
inline std::string gguf_string(std::string_view text) { return raw_bytes<uint64_t>(text.size()) + std::string(text); }

class GgufBuilder {
 public:
  // Wrong counts, versions and the like, where a test wants them.
  uint32_t version = 3;
  std::optional<uint64_t> key_count, tensor_count;
  uint64_t alignment = 32;  // of the padding; add the key general.alignment yourself
  std::string tail;         // after the last tensor

  GgufBuilder& raw_key(std::string_view key, uint32_t type, const std::string& value) {
    keys_.push_back(gguf_string(key) + raw_bytes(type) + value);
    return *this;
  }
  GgufBuilder& key(std::string_view name, GgufType type, const std::string& value) {
    return raw_key(name, static_cast<uint32_t>(type), value);
  }
  GgufBuilder& u32(std::string_view name, uint32_t v) { return key(name, GgufType::kU32, raw_bytes(v)); }
  GgufBuilder& f32(std::string_view name, float v) { return key(name, GgufType::kF32, raw_bytes(v)); }
  GgufBuilder& boolean(std::string_view name, bool v) { return key(name, GgufType::kBool, raw_bytes<uint8_t>(v)); }
  GgufBuilder& string(std::string_view name, std::string_view v) {
    return key(name, GgufType::kString, gguf_string(v));
  }
  GgufBuilder& array(std::string_view name, GgufType type, uint64_t count, const std::string& values) {
    return key(name, GgufType::kArray, raw_bytes(static_cast<uint32_t>(type)) + raw_bytes(count) + values);
  }
  GgufBuilder& strings(std::string_view name, const std::vector<std::string>& list) {
    std::string values;
    for (const std::string& text : list) values += gguf_string(text);
    return array(name, GgufType::kString, list.size(), values);
  }
  GgufBuilder& i32s(std::string_view name, const std::vector<int32_t>& list) {
    std::string values;
    for (int32_t v : list) values += raw_bytes(v);
    return array(name, GgufType::kI32, list.size(), values);
  }
  // dims in ggml's order, the contiguous one first. Without an offset the data follow those before.
  GgufBuilder& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, std::string data,
                      std::optional<uint64_t> offset = {}) {
    tensors_.push_back({std::string(name), std::move(dims), type, std::move(data), offset});
    return *this;
  }
  GgufBuilder& f32_tensor(std::string_view name, const std::vector<uint64_t>& dims, const std::vector<float>& values) {
    std::string data;
    for (float v : values) data += raw_bytes(v);
    return tensor(name, dims, 0, data);
  }

  std::string build() const {
    std::string file = "GGUF" + raw_bytes(version) + raw_bytes<uint64_t>(tensor_count.value_or(tensors_.size())) +
                       raw_bytes<uint64_t>(key_count.value_or(keys_.size()));
    for (const std::string& key : keys_) file += key;
    std::string data;
    for (const Tensor& tensor : tensors_) {
      pad(data);
      file += gguf_string(tensor.name) + raw_bytes(static_cast<uint32_t>(tensor.dims.size()));
      for (uint64_t dim : tensor.dims) file += raw_bytes(dim);
      file += raw_bytes(tensor.type) + raw_bytes<uint64_t>(tensor.offset.value_or(data.size()));
      data += tensor.data;
    }
    pad(file);
    return file + data + tail;
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;
    uint32_t type;
    std::string data;
    std::optional<uint64_t> offset;
  };
  void pad(std::string& bytes) const { bytes.append((alignment - bytes.size() % alignment) % alignment, '\0'); }

  std::vector<std::string> keys_;
  std::vector<Tensor> tensors_;
};

}  // namespace unha
