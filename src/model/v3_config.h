// SPDX-License-Identifier: Apache-2.0
// config.json of the V3 generation (deepseek-v3.md section 0): every key is
// read, known to be without effect, or refused. Ours besides: "engram"
// (engram.md section 2.9) and "unha_numerics".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/engram_hash.h"
#include "ops/moe_route.h"
#include "ops/rope.h"

namespace unha {

struct V3Config {
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: no query latent
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t moe_intermediate_size = 0;
  int64_t first_k_dense_replace = 0;
  int64_t moe_layer_freq = 1;
  int64_t n_routed_experts = 0;
  int64_t n_shared_experts = 0;
  ops::RouteConfig route;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t bos_token_id = -1;
  int64_t eos_token_id = -1;
  double rms_norm_eps = 1e-6;
  bool attention_bias = false;
  bool tie_word_embeddings = false;
  int64_t num_nextn_predict_layers = 0;
  RopeConfig rope;
  std::optional<EngramConfig> engram;

  bool is_moe(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
};

V3Config parse_v3_config(const Json& config, const std::string& what);

}  // namespace unha
