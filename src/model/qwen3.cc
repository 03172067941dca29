// SPDX-License-Identifier: Apache-2.0
// Qwen3, dense (R1-0528-Qwen3-8B): RMSNorm of each head's query and key before RoPE, a head width of its own.
#include "model/dense_model.h"

namespace unha {

std::unique_ptr<Model> build_qwen3(const Json& config, const std::string& what, bool allow_unknown) {
  UnknownKeys unknown{allow_unknown, {}};
  JsonReader r(config, what);
  DenseConfig c = read_dense_config(r, unknown, HeadDim::k128);
  c.qk_norm = true;
  c.qkv_bias = c.o_bias = r.get("attention_bias", false);
  refuse_sliding_window(r, c);
  unknown.finish(r);
  return std::make_unique<DenseModel>(config, c, std::move(unknown.names));
}

}  // namespace unha
