// SPDX-License-Identifier: Apache-2.0
// Qwen2 and Qwen2.5 (the R1 distills on Qwen): biases on q, k and v, none on o.
#include "model/dense_model.h"

namespace unha {

std::unique_ptr<Model> build_qwen2(const Json& config, const std::string& what, bool allow_unknown) {
  UnknownKeys unknown{allow_unknown, {}};
  JsonReader r(config, what);
  DenseConfig c = read_dense_config(r, unknown, HeadDim::kHiddenByHeads);
  c.qkv_bias = true;
  require_value(r, "use_mrope", false);
  refuse_sliding_window(r, c);
  unknown.finish(r);
  return std::make_unique<DenseModel>(config, c, std::move(unknown.names));
}

}  // namespace unha
