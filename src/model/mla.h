// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V3 report, section 2.1.1;
// deepseek-v3.md section 2). The same lines train, prefill and decode; the
// attention itself is always the latent form (ops/mla_attend.h).
#pragma once

#include <memory>
#include <string>

#include "model/batch.h"
#include "model/deepseek_config.h"
#include "model/indexer.h"
#include "model/params.h"
#include "ops/mla_attend.h"
#include "ops/rope.h"

namespace unha {

class Mla {
 public:
  // prefix: "model.layers.3.self_attn."; cache_layer: which latents of the
  // sequence cache are this layer's. output_std: of o_proj's initial values. index_rope: the indexer's table; null
  // where the model has no indexer.
  Mla(ParamStore& store, const std::string& prefix, const DeepseekConfig& config, const RopeTable& rope,
      const RopeTable* index_rope, int64_t cache_layer, double output_std);

  Tensor forward(Ctx& ctx, Tensor x,
                 const Batch& batch) const;  // [N, D] -> [N, D]

 private:
  const RopeTable& rope_;
  int64_t cache_layer_;
  int64_t latent_;
  double eps_;
  MlaShape shape_;
  const Weight* wq_ = nullptr;    // [H (nope + rope), D], without a query latent
  const Weight* wq_a_ = nullptr;  // [q_lora_rank, D]
  const Weight* wq_a_bias_ = nullptr;
  const Weight* q_a_norm_ = nullptr;
  const Weight* wq_b_ = nullptr;   // [H (nope + rope), q_lora_rank]
  const Weight* wkv_a_ = nullptr;  // [R + rope, D]
  const Weight* wkv_a_bias_ = nullptr;
  const Weight* kv_a_norm_ = nullptr;
  const Weight* wkv_b_ = nullptr;  // [H (nope + v), R]; empty where the source has the two below instead
  const Weight* wk_b_ = nullptr;   // [H, R, nope]
  const Weight* wv_b_ = nullptr;   // [H, v, R]
  const Weight* wo_ = nullptr;     // [D, H v]
  const Weight* wo_bias_ = nullptr;
  std::unique_ptr<Indexer> indexer_;  // V3.2
};

}  // namespace unha
