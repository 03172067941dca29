// SPDX-License-Identifier: Apache-2.0
// JSON as Python's json.dumps(value, ensure_ascii=False) writes it, since models were trained on such text.
#pragma once

#include <string>

#include "base/json.h"

namespace unha {

// ", " and ": " between members; floats as Python's repr; characters beyond ASCII as they are. Whole numbers beyond
// 64 bits have become floats when they were read, and are written as such.
std::string python_json(const Json& value);

}  // namespace unha
