// SPDX-License-Identifier: Apache-2.0
// Grouped-query attention of the dense generations (deepseek-v3.md section 12): projections with optional biases,
// optional RMSNorm of each head (Qwen3), RoPE over whole heads.
#pragma once

#include <string>

#include "model/batch.h"
#include "model/dense_config.h"
#include "model/params.h"
#include "ops/gqa_attend.h"
#include "ops/rope.h"

namespace unha {

class Gqa {
 public:
  // prefix: "model.layers.3.self_attn."; cache_layer: which rows of the sequence cache are this layer's.
  // output_std: of o_proj's initial values.
  Gqa(ParamStore& store, const std::string& prefix, const DenseConfig& config, const RopeTable& rope,
      int64_t cache_layer, double output_std);

  Tensor forward(Ctx& ctx, Tensor x, const Batch& batch) const;  // [N, D] -> [N, D]

 private:
  // Projects x to `heads` heads, norms and rotates them. -> [N, heads * head_dim]
  Tensor heads(Ctx& ctx, Tensor x, const Weight& w, const Weight* bias, const Weight* norm, int64_t heads,
               const Batch& batch) const;

  const RopeTable& rope_;
  int64_t cache_layer_;
  double eps_;
  GqaShape shape_;
  const Weight* wq_;  // [H head_dim, D]
  const Weight* wk_;  // [KV head_dim, D]
  const Weight* wv_;  // [KV head_dim, D]
  const Weight* wo_;  // [D, H head_dim]
  const Weight* wq_bias_ = nullptr;
  const Weight* wk_bias_ = nullptr;
  const Weight* wv_bias_ = nullptr;
  const Weight* wo_bias_ = nullptr;
  const Weight* q_norm_ = nullptr;  // [head_dim]
  const Weight* k_norm_ = nullptr;  // [head_dim]
};

}  // namespace unha
