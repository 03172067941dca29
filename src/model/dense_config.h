// SPDX-License-Identifier: Apache-2.0
// config.json of the dense generations (Llama, Qwen2, Qwen3; deepseek-v3.md section 12). What they share is read here;
// each generation's file reads the rest. Every key is read, known to be without effect, or refused.
#pragma once

#include <string>
#include <vector>

#include "model/config_keys.h"
#include "ops/rope.h"

namespace unha {

struct DenseConfig {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t bos_token_id = -1;
  std::vector<int64_t> eos_token_ids;  // any of them ends a text; may be empty
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool o_bias = false;
  bool qk_norm = false;       // RMSNorm of each head's query and key before RoPE
  bool rope_factors = false;  // the file may hold rope_freqs.weight (GGUF)
  RopeConfig rope;
};

// The head width where the config states none.
enum class HeadDim { kHiddenByHeads, k128 };

// Reads what all dense generations have; the caller reads its own keys and finishes `r` with `unknown`.
// Error(kInvalidArgument) or Error(kUnsupported), naming the key.
DenseConfig read_dense_config(JsonReader& r, UnknownKeys& unknown, HeadDim default_head_dim);

// Qwen's sliding window: the keys are there and switched off, or refused.
void refuse_sliding_window(JsonReader& r, const DenseConfig& config);

}  // namespace unha
