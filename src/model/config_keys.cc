// SPDX-License-Identifier: Apache-2.0
#include "model/config_keys.h"

#include "base/error.h"

namespace unha {

void UnknownKeys::finish(const JsonReader& r, const std::string& path) {
  std::vector<std::string> unknown = r.unknown();
  if (allowed) {
    for (const std::string& key : unknown) names.push_back(path + key);
    return;
  }
  std::string list;
  for (const std::string& key : unknown) list += (list.empty() ? "\"" : ", \"") + key + "\"";
  if (!list.empty()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: unknown key {}", r.what(), list),
                "it may change what the model computes; --allow-unknown-keys passes over it");
  }
}

void ignore_housekeeping(JsonReader& r) {
  r.ignore({"_name_or_path", "architectures", "attention_dropout", "auto_map", "dtype", "initializer_range",
            "model_type", "pad_token_id", "pretraining_tp", "torch_dtype", "transformers_version", "unha_numerics",
            "use_cache"});
}

void require_value(JsonReader& r, const std::string& key, const char* value) {
  if (!r.has(key)) return;
  auto found = r.require<std::string>(key);
  if (found != value) {
    throw_error(ErrorCode::kUnsupported, "{}: \"{}\" must be \"{}\", found \"{}\"", r.what(), key, value, found);
  }
}

void require_value(JsonReader& r, const std::string& key, bool value) {
  if (r.has(key) && r.require<bool>(key) != value) {
    throw_error(ErrorCode::kUnsupported, "{}: \"{}\" must be {}", r.what(), key, value);
  }
}

void require_per_layer(JsonReader& r, const std::string& key, const std::vector<std::string>& values) {
  if (!has_value(r, key)) return;
  const Json& list = r.at(key);
  if (!list.is_array() || list.size() != values.size()) {
    throw_error(ErrorCode::kUnsupported, "{}: \"{}\" must be a list of {}, one for each layer", r.what(), key,
                values.size());
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (list[i] == values[i]) continue;
    throw_error(ErrorCode::kUnsupported, "{}: \"{}\" must be \"{}\" for layer {}, found {}", r.what(), key, values[i],
                i, list[i].dump());
  }
}

bool has_value(JsonReader& r, const std::string& key) {
  if (!r.has(key)) return false;
  if (!r.at(key).is_null()) return true;
  return false;
}

}  // namespace unha
