// SPDX-License-Identifier: Apache-2.0
// config.json of the DeepSeek generations V2 to V3.2 (deepseek-v3.md section 0). Every key is read, known to be without
// effect, or refused. What a generation's file may say is in its own file: v2.cc, v3.cc, v32.cc. Ours besides: "engram"
// (engram.md section 2.9) and "unha_numerics".
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/config_keys.h"
#include "model/engram_hash.h"
#include "ops/moe_route.h"
#include "ops/rope.h"

namespace unha {

// The lightning indexer of sparse attention (deepseek-v3.md section 6).
struct IndexConfig {
  int64_t n_heads = 0;
  int64_t head_dim = 0;  // its first qk_rope_head_dim columns are rotated
  int64_t topk = 0;      // keys that a token attends to, at most
};

struct DeepseekConfig {
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
  std::optional<IndexConfig> index;
  std::optional<EngramConfig> engram;

  bool is_moe(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
};

// What tells the generations' files apart.
struct DeepseekRules {
  enum class Router {
    kV2,  // any topk_method and scoring_func; by default greedy, softmax, weights not normalised
    kV3,  // noaux_tc and sigmoid only; weights normalised by default
  };
  std::initializer_list<const char*> without_effect;
  Router router = Router::kV3;
  bool indexer = false;  // index_n_heads, index_head_dim, index_topk
  bool engram = false;   // may have one
};

// Error(kInvalidArgument) for a missing, unknown or contradictory key, Error(kUnsupported) for a value that is not
// supported, all by name. unknown: who wants unknown keys on a list instead; null: nobody.
DeepseekConfig parse_deepseek_config(const Json& config, const std::string& what, const DeepseekRules& rules,
                                     UnknownKeys* unknown);

}  // namespace unha
