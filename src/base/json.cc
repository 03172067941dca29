// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <vector>

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

// Builds the document from parser events. The ordinary parser looks each key up in a list, which is quadratic in the
// size of an object; a tokenizer's vocabulary has 128,000 keys. Here keys are known to be new (a set says so), so they
// are appended. A node's address holds while it is open: only its parent's list could move it, and that one waits.
class DocumentBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit DocumentBuilder(const std::string& what) : what_(what) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t& value) override { return add(std::move(value)); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    if (!open_.back().keys.insert(key).second) {
      throw_error(ErrorCode::kCorrupt, "{}: key \"{}\" twice in one object", what_, key);
    }
    key_ = std::move(key);
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& e) override {
    throw_error(ErrorCode::kCorrupt, "{}: not valid JSON: {}", what_, e.what());
  }

 private:
  struct Open {
    Json* node;
    std::unordered_set<std::string> keys;
  };

  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back().node;
    if (parent.is_array()) return &parent.get_ref<Json::array_t&>().emplace_back(std::move(value));
    auto& members = parent.get_ref<Json::object_t&>();
    return &static_cast<Json::object_t::Container&>(members).emplace_back(std::move(key_), std::move(value)).second;
  }
  template <class T>
  bool add(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }
  bool open(Json empty) {
    Json* node = place(std::move(empty));
    open_.push_back({node, {}});
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& what_;
  Json root_;
  std::string key_;
  std::vector<Open> open_;
};
}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  // The parser takes a NUL for the end of the text and would accept anything after it.
  if (text.find('\0') != std::string_view::npos) throw_error(ErrorCode::kCorrupt, "{}: a NUL byte in the JSON", what);
  check_depth(text, what);
  DocumentBuilder builder(what);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

JsonReader::JsonReader(const Json& object, std::string what) : object_(object), what_(std::move(what)) {
  if (!object.is_object())
    throw_error(ErrorCode::kInvalidArgument, "{}: expected an object, found {}", what_, object.type_name());
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
    throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be within {} and {}, found {}", what_, key, low, high,
                value);
  }
  return value;
}

void JsonReader::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) read_.emplace_back(key);
}

std::vector<std::string> JsonReader::unknown() const {
  std::vector<std::string> keys;
  for (const auto& item : object_.items()) {
    if (std::find(read_.begin(), read_.end(), item.key()) == read_.end()) keys.push_back(item.key());
  }
  return keys;
}

void JsonReader::finish() const {
  std::string keys;
  for (const std::string& key : unknown()) keys += (keys.empty() ? "\"" : ", \"") + key + "\"";
  if (!keys.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: unknown key {}", what_, keys);
}

}  // namespace unha
