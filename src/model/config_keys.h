// SPDX-License-Identifier: Apache-2.0
// What becomes of keys in a config.json that this program does not know: refused by name, since each may change the
// forward, or, where the user says so, put on a list and passed over.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace unha {

struct UnknownKeys {
  bool allowed = false;
  std::vector<std::string> names;  // those passed over; of nested objects with their path, "rope_scaling.truncate"

  // Ends the reading of one object; `path` of a nested one ends in a dot. Error(kInvalidArgument) that names all
  // unknown keys unless they are allowed.
  void finish(const JsonReader& r, const std::string& path = "");
};

// Passes over the keys that any config.json may carry and that touch no forward: who wrote it, with what, for which
// trainer. A generation lists its own beside it.
void ignore_housekeeping(JsonReader& r);
// Keys that may be there with one value only. Error(kUnsupported) that names key and value for any other.
void require_value(JsonReader& r, const std::string& key, const char* value);
void require_value(JsonReader& r, const std::string& key, bool value);
// A list with a value for each layer, if it is there at all. Error(kUnsupported) that names key and layer if one differs.
void require_per_layer(JsonReader& r, const std::string& key, const std::vector<std::string>& values);
// Like JsonReader::has, but null counts as absent (and as read).
bool has_value(JsonReader& r, const std::string& key);

}  // namespace unha
