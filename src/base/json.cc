// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"

namespace unha {

namespace {
constexpr int kMaxDepth = 64;

// Depth of nesting, counted before parsing, since the parser itself recurses.
void check_depth(std::string_view text, const std::string& what) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) throw_error(ErrorCode::kCorrupt, "{}: JSON nested deeper than {}", what, kMaxDepth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}
}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  check_depth(text, what);
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  std::string duplicate;
  auto callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      auto key = parsed.get<std::string>();
      if (!keys.back().insert(key).second && duplicate.empty()) duplicate = key;
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(text.begin(), text.end(), callback);
  } catch (const nlohmann::json::exception& e) {
    throw_error(ErrorCode::kCorrupt, "{}: not valid JSON: {}", what, e.what());
  }
  if (!duplicate.empty()) throw_error(ErrorCode::kCorrupt, "{}: key \"{}\" twice in one object", what, duplicate);
  return json;
}

JsonReader::JsonReader(const Json& object, std::string what) : object_(object), what_(std::move(what)) {
  if (!object.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object, found {}", what_,
                                       object.type_name());
}

const Json& JsonReader::at(const std::string& key) {
  auto it = object_.find(key);
  if (it == object_.end()) throw_error(ErrorCode::kInvalidArgument, "{}: key \"{}\" is missing", what_, key);
  read_.push_back(key);
  return *it;
}

namespace {
[[noreturn]] void wrong_type(const std::string& what, const std::string& key, const char* expected, const Json& found) {
  std::string value = found.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (value.size() > 60) value = value.substr(0, 57) + "...";
  throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be {}, found {}", what, key, expected, value);
}
}  // namespace

template <>
bool JsonReader::require<bool>(const std::string& key) {
  const Json& v = at(key);
  if (!v.is_boolean()) wrong_type(what_, key, "true or false", v);
  return v.get<bool>();
}

template <>
int64_t JsonReader::require<int64_t>(const std::string& key) {
  const Json& v = at(key);
  if (!v.is_number_integer() || (v.is_number_unsigned() && v.get<uint64_t>() > uint64_t{INT64_MAX})) {
    wrong_type(what_, key, "an integer", v);
  }
  return v.get<int64_t>();
}

template <>
double JsonReader::require<double>(const std::string& key) {
  const Json& v = at(key);
  if (!v.is_number() || !std::isfinite(v.get<double>())) wrong_type(what_, key, "a number", v);
  return v.get<double>();
}

template <>
std::string JsonReader::require<std::string>(const std::string& key) {
  const Json& v = at(key);
  if (!v.is_string()) wrong_type(what_, key, "a string", v);
  return v.get<std::string>();
}

int64_t JsonReader::require_int(const std::string& key, int64_t low, int64_t high) {
  auto value = require<int64_t>(key);
  if (value < low || value > high) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be within {} and {}, found {}", what_, key, low, high, value);
  }
  return value;
}

void JsonReader::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) read_.emplace_back(key);
}

void JsonReader::finish() const {
  std::string unknown;
  for (const auto& item : object_.items()) {
    if (std::find(read_.begin(), read_.end(), item.key()) == read_.end()) {
      unknown += (unknown.empty() ? "\"" : ", \"") + item.key() + "\"";
    }
  }
  if (!unknown.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: unknown key {}", what_, unknown);
}

}  // namespace unha
