// SPDX-License-Identifier: Apache-2.0
// config.json: any bytes may be refused with an Error; nothing else may come out.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "model/v2.h"
#include "model/v3.h"
#include "model/v32.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (auto* parse : {unha::parse_v2_config, unha::parse_v3_config, unha::parse_v32_config}) {
    try {
      unha::Json json = unha::parse_json({reinterpret_cast<const char*>(data), size}, "config.json");
      unha::UnknownKeys unknown{size % 2 == 0, {}};
      parse(json, "config.json", &unknown);
    } catch (const unha::Error&) {
    }
  }
  return 0;
}
