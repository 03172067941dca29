// SPDX-License-Identifier: Apache-2.0
// golden.json and golden.safetensors of a case, checked before they are used: a golden may be damaged like any file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/safetensors.h"
#include "tensor/shape_text.h"

namespace unha {

struct GoldenSequence {
  std::string name;
  std::vector<int32_t> ids;
};

struct GoldenGreedy {
  std::vector<int32_t> prompt, continuation;
};

class Golden {
 public:
  // Reads golden.json alone; Error names it.
  explicit Golden(const std::string& folder);

  // Maps golden.safetensors, once. Error(kNotFound, kCorrupt).
  void open_tensors();
  const TensorMap& tensors() const { return tensors_->tensors(); }
  const TensorInfo* find(const std::string& name) const { return tensors_->find(name); }
  // Error(kCorrupt) if it is not there.
  const TensorInfo& need(const std::string& name) const;

  const std::string& folder() const { return folder_; }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  const Json& json() const { return json_; }
  bool has(const std::string& key) const { return json_.contains(key); }
  // The number at keys[0].keys[1]...; NaN if there is none.
  double number(const std::vector<std::string>& keys) const;
  std::string text(const std::string& key) const;  // "" if there is none

  // Of golden.json; Error(kCorrupt) names what is wrong. Names are unique, no list of ids is empty.
  std::vector<GoldenSequence> sequences() const;
  std::vector<GoldenGreedy> greedy() const;

 private:
  std::vector<int32_t> ids(const Json& object, const std::string& key, const std::string& what) const;

  std::string folder_;
  Json json_;
  std::shared_ptr<SafetensorsFile> tensors_;
};

// All values as doubles. Error(kCorrupt) if they are not F32, F64, I32 or I64.
std::vector<double> golden_values(const TensorInfo& info);
// As T. Error(kCorrupt) if they are stored as something else.
template <class T>
std::vector<T> golden_values_as(const TensorInfo& info);

}  // namespace unha
