// SPDX-License-Identifier: Apache-2.0
// Llama 3.x and what is built like it (the R1 distills on Llama, SmolLM2). A GGUF file keeps the rows of q and k in the
// order of adjacent pairs: its config says "rope_interleave", and it may hold the divisors of the frequencies.
#include "model/dense_model.h"

namespace unha {

std::unique_ptr<Model> build_llama(const Json& config, const std::string& what, bool allow_unknown) {
  UnknownKeys unknown{allow_unknown, {}};
  JsonReader r(config, what);
  DenseConfig c = read_dense_config(r, unknown, HeadDim::kHiddenByHeads);
  c.qkv_bias = c.o_bias = r.get("attention_bias", false);
  c.rope_factors = c.rope.pairing == Pairing::kAdjacent;
  require_value(r, "mlp_bias", false);
  unknown.finish(r);
  return std::make_unique<DenseModel>(config, c, std::move(unknown.names));
}

}  // namespace unha
