// SPDX-License-Identifier: Apache-2.0
// Reading untrusted JSON: bounded depth, named errors, strict access. Keys keep their order (ordered_json).
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

using Json = nlohmann::ordered_json;

// Parses text; `what` names it in errors (a path, "row 3"). Error(kCorrupt) on bad syntax, duplicate keys in an
// object, nesting deeper than 64, invalid UTF-8 or trailing text.
Json parse_json(std::string_view text, const std::string& what);

// Strict view of one object: every key must be asked for or ignored by name, then finish() refuses the rest.
//   JsonReader r(json, "config.json");  d = r.require<int64_t>("hidden_size");  e = r.get("rms_norm_eps", 1e-6);
//   r.finish();   // Error(kInvalidArgument) that lists all unknown keys
// Values of the wrong type, integers out of range and NaN are Error(kInvalidArgument) naming object, key and value.
class JsonReader {
 public:
  JsonReader(const Json& object, std::string what);

  bool has(const std::string& key) const { return object_.contains(key); }
  // The value, which counts as read. Error if absent.
  const Json& at(const std::string& key);

  template <class T>
  T require(const std::string& key);  // T: bool, int64_t, double, std::string
  template <class T>
  T get(const std::string& key, T fallback) {
    return has(key) ? require<T>(key) : fallback;
  }
  // Integer within [low, high].
  int64_t require_int(const std::string& key, int64_t low, int64_t high);
  int64_t get_int(const std::string& key, int64_t fallback, int64_t low, int64_t high) {
    return has(key) ? require_int(key, low, high) : fallback;
  }

  void ignore(std::initializer_list<const char*> keys);
  std::vector<std::string> unknown() const;  // keys that were neither asked for nor ignored
  void finish() const;
  const std::string& what() const { return what_; }

 private:
  const Json& object_;
  std::string what_;
  std::vector<std::string> read_;
};

}  // namespace unha
