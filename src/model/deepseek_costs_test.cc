// SPDX-License-Identifier: Apache-2.0
// The numbers of the released models (deepseek-v3.md section 10), from their configs alone.
#include <gtest/gtest.h>

#include "model/generations.h"

namespace unha {
namespace {

Json v2_lite() {
  return parse_json(R"({
    "model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
    "num_key_value_heads": 16, "q_lora_rank": null, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "intermediate_size": 10944, "moe_intermediate_size": 1408,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_routed_experts": 64, "n_shared_experts": 2,
    "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax",
    "norm_topk_prob": false, "routed_scaling_factor": 1.0, "aux_loss_alpha": 0.001, "seq_aux": true,
    "vocab_size": 102400, "bos_token_id": 100000, "eos_token_id": 100001, "rms_norm_eps": 1e-6, "rope_theta": 10000,
    "max_position_embeddings": 163840, "hidden_act": "silu", "attention_bias": false, "tie_word_embeddings": false,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
                     "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}
  })",
                    "v2-lite");
}

Json v2() {
  Json c = v2_lite();
  c.update({{"hidden_size", 5120},
            {"num_hidden_layers", 60},
            {"num_attention_heads", 128},
            {"num_key_value_heads", 128},
            {"q_lora_rank", 1536},
            {"intermediate_size", 12288},
            {"moe_intermediate_size", 1536},
            {"n_routed_experts", 160},
            {"n_group", 8},
            {"topk_group", 3},
            {"topk_method", "group_limited_greedy"},
            {"routed_scaling_factor", 16.0}});
  return c;
}

Json v3() {
  Json c = v2();
  c.update({{"model_type", "deepseek_v3"},
            {"hidden_size", 7168},
            {"num_hidden_layers", 61},
            {"intermediate_size", 18432},
            {"moe_intermediate_size", 2048},
            {"first_k_dense_replace", 3},
            {"n_routed_experts", 256},
            {"n_shared_experts", 1},
            {"num_experts_per_tok", 8},
            {"topk_group", 4},
            {"topk_method", "noaux_tc"},
            {"scoring_func", "sigmoid"},
            {"norm_topk_prob", true},
            {"routed_scaling_factor", 2.5},
            {"vocab_size", 129280},
            {"bos_token_id", 0},
            {"eos_token_id", 1}});
  return c;
}

Json v32() {
  Json c = v3();
  c.update({{"model_type", "deepseek_v32"}, {"index_n_heads", 64}, {"index_head_dim", 128}, {"index_topk", 2048}});
  return c;
}

struct Case {
  const char* name;
  Json config;
  double total, active;  // in 10^9
  int64_t cache_bytes;   // bf16
};

TEST(DeepseekCosts, ReleasedModelsHaveTheirPublishedNumbers) {
  const Case cases[] = {{"V2-Lite", v2_lite(), 15.706, 2.451, 31104},
                        {"V2", v2(), 235.741, 20.851, 69120},
                        {"V3", v3(), 671.026, 36.626, 70272},
                        {"V3.2", v32(), 671.878, 37.477, 70272 + 15616}};
  for (const Case& c : cases) {
    auto model = build_model(c.config, c.name);
    ModelCosts costs = model->costs(4096);
    EXPECT_NEAR(static_cast<double>(costs.parameters_total) * 1e-9, c.total, 0.0006) << c.name;
    EXPECT_NEAR(static_cast<double>(costs.parameters_active) * 1e-9, c.active, 0.002) << c.name;
    EXPECT_EQ(model->cache_layout().bytes_per_token(DType::kBF16), c.cache_bytes) << c.name;
  }
}

TEST(DeepseekCosts, SparseAttentionPaysForTheIndexerAndCapsTheRest) {
  Json dense = v3(), sparse = v32();
  for (Json* c : {&dense, &sparse}) {  // the experts are all the same
    c->update({{"num_hidden_layers", 2}, {"first_k_dense_replace", 2}});
  }
  auto flops = [](const Json& config, int64_t context) {
    return build_model(config, "model")->costs(context).forward_flops_per_token / 2;  // and per layer
  };
  // Up to index_topk keys nothing is scored, and the indexer costs its projections: 2 (1536 8192 + 7168 (128 + 64)).
  EXPECT_NEAR(flops(sparse, 2048) - flops(dense, 2048), 2 * (1536 * 8192 + 7168 * (128 + 64)), 1);
  // Far beyond, a key costs 2 64 (128 + 1) instead of 2 128 (128 + 64 + 128).
  double per_key_sparse = (flops(sparse, 163840) - flops(sparse, 131072)) / 16384;
  double per_key_dense = (flops(dense, 163840) - flops(dense, 131072)) / 16384;
  EXPECT_NEAR(per_key_dense, 2 * 128 * (128 + 64 + 128), 1);
  EXPECT_NEAR(per_key_sparse, 2 * 64 * (128 + 1), 0.02 * per_key_sparse);
}

}  // namespace
}  // namespace unha
