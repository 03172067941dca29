// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/golden.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/error.h"
#include "io/file.h"
#include "tensor/tensor.h"

namespace unha {

Golden::Golden(const std::string& folder) : folder_(folder) {
  json_ = parse_json(read_file(path("golden.json")), "golden.json");
  if (!json_.is_object()) throw_error(ErrorCode::kCorrupt, "golden.json: expected an object");
}

void Golden::open_tensors() {
  if (!tensors_) tensors_ = std::make_shared<SafetensorsFile>(SafetensorsFile::open(path("golden.safetensors")));
}

const TensorInfo& Golden::need(const std::string& name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) throw_error(ErrorCode::kCorrupt, "golden.safetensors: {} is missing", quoted_name(name));
  return *info;
}

double Golden::number(const std::vector<std::string>& keys) const {
  const Json* at = &json_;
  for (const std::string& key : keys) {
    if (!at->is_object() || !at->contains(key)) return std::numeric_limits<double>::quiet_NaN();
    at = &at->at(key);
  }
  return at->is_number() ? at->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string Golden::text(const std::string& key) const {
  return has(key) && json_[key].is_string() ? json_[key].get<std::string>() : "";
}

std::vector<int32_t> Golden::ids(const Json& object, const std::string& key, const std::string& what) const {
  std::vector<int32_t> out;
  const Json* list = object.is_object() && object.contains(key) ? &object.at(key) : nullptr;
  if (list == nullptr || !list->is_array() || list->empty()) {
    throw_error(ErrorCode::kCorrupt, "golden.json: {}: expected \"{}\", a list of token ids", what, key);
  }
  for (const Json& id : *list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t{std::numeric_limits<int32_t>::max()}) {
      throw_error(ErrorCode::kCorrupt, "golden.json: {}: \"{}\" holds something that is no token id", what, key);
    }
    out.push_back(id.get<int32_t>());
  }
  return out;
}

std::vector<GoldenSequence> Golden::sequences() const {
  if (!has("sequences") || !json_["sequences"].is_array() || json_["sequences"].empty()) {
    throw_error(ErrorCode::kCorrupt, "golden.json: expected \"sequences\", a list");
  }
  std::vector<GoldenSequence> out;
  std::set<std::string> names;
  for (const Json& sequence : json_["sequences"]) {
    std::string what = fmt::format("sequence {}", out.size());
    JsonReader reader(sequence, "golden.json: " + what);
    auto name = reader.require<std::string>("name");
    if (!names.insert(name).second) {
      throw_error(ErrorCode::kCorrupt, "golden.json: two sequences are called {}", quoted_name(name));
    }
    out.push_back({name, ids(sequence, "input_ids", what)});
  }
  return out;
}

std::vector<GoldenGreedy> Golden::greedy() const {
  std::vector<GoldenGreedy> out;
  if (!has("greedy")) return out;
  if (!json_["greedy"].is_array()) throw_error(ErrorCode::kCorrupt, "golden.json: \"greedy\": expected a list");
  for (const Json& entry : json_["greedy"]) {
    std::string what = fmt::format("greedy {}", out.size());
    out.push_back({ids(entry, "prompt", what), ids(entry, "continuation", what)});
  }
  return out;
}

template <class T>
std::vector<T> golden_values_as(const TensorInfo& info) {
  if (info.dtype != DTypeOf<T>::kValue) {
    throw_error(ErrorCode::kCorrupt, "{}: expected {}, found {}", quoted_name(info.name),
                dtype_name(DTypeOf<T>::kValue), dtype_name(info.dtype));
  }
  std::vector<T> values(static_cast<size_t>(info.elements()));
  if (!values.empty()) std::memcpy(values.data(), info.data, static_cast<size_t>(info.bytes));
  return values;
}

template std::vector<float> golden_values_as(const TensorInfo&);
template std::vector<double> golden_values_as(const TensorInfo&);
template std::vector<int32_t> golden_values_as(const TensorInfo&);
template std::vector<int64_t> golden_values_as(const TensorInfo&);

namespace {
template <class T>
std::vector<double> widened(const TensorInfo& info) {
  std::vector<T> values = golden_values_as<T>(info);
  return {values.begin(), values.end()};
}
}  // namespace

std::vector<double> golden_values(const TensorInfo& info) {
  switch (info.dtype) {
    case DType::kF32:
      return widened<float>(info);
    case DType::kF64:
      return widened<double>(info);
    case DType::kI32:
      return widened<int32_t>(info);
    case DType::kI64:
      return widened<int64_t>(info);
    default:
      throw_error(ErrorCode::kCorrupt, "{}: a reference of type {}, expected F32, F64, I32 or I64",
                  quoted_name(info.name), dtype_name(info.dtype));
  }
}

}  // namespace unha
