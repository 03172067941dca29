// SPDX-License-Identifier: Apache-2.0
// A GGUF model as gguf_source.cc works on it: its files, its tensors by name, its architecture.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/gguf.h"

namespace unha {

enum class GgufArch { kDeepseek2, kLlama, kQwen2, kQwen3 };

struct GgufModel {
  struct Placed {
    const GgufTensor* tensor;
    const std::string* file;
  };

  std::string path;  // as it was given, for messages
  std::vector<GgufFile> files;
  std::map<std::string, Placed> tensors;
  std::string architecture;  // "deepseek2"; its keys begin with this and a dot
  GgufArch arch = GgufArch::kLlama;

  const GgufMetadata& metadata() const { return files.front().metadata(); }
  const GgufTensor* find(const std::string& name) const {
    auto found = tensors.find(name);
    return found == tensors.end() ? nullptr : found->second.tensor;
  }
};

// Errors as open_gguf_files; Error(kUnsupported) for an architecture that is none of the above.
GgufModel open_gguf_model(const std::string& path);

}  // namespace unha
