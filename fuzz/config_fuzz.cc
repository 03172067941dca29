// SPDX-License-Identifier: Apache-2.0
// config.json: any bytes are a model of any generation, built with its RoPE tables, costs and cache layout if it is
// small, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "model/generations.h"
#include "model/v2.h"
#include "model/v3.h"
#include "model/v32.h"

namespace {

bool is_small(const unha::Json& config, const char* key, int64_t most) {
  auto it = config.find(key);
  return it == config.end() || !it->is_number_integer() || (it->get<int64_t>() <= most && it->get<int64_t>() >= -most);
}

void build(const unha::Json& config, bool allow_unknown) {
  if (!config.is_object() || !is_small(config, "num_hidden_layers", 8) || !is_small(config, "n_routed_experts", 32) ||
      !is_small(config, "vocab_size", 100000)) {
    return;
  }
  auto model = unha::build_model(config, "config.json", allow_unknown);
  UNHA_CHECK(model->params().total_parameters() > 0 && model->cache_layout().bytes_per_token(unha::DType::kF32) > 0,
             "an empty model");
  UNHA_CHECK(model->costs(16).parameters_active > 0, "a model for nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    unha::Json json = unha::parse_json({reinterpret_cast<const char*>(data), size}, "config.json");
    for (auto* parse : {unha::parse_v2_config, unha::parse_v3_config, unha::parse_v32_config}) {
      try {
        unha::UnknownKeys unknown{size % 2 == 0, {}};
        parse(json, "config.json", &unknown);
      } catch (const unha::Error&) {
      }
    }
    build(json, size % 2 == 0);
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
