// SPDX-License-Identifier: Apache-2.0
#include "model/dense_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/dense_model.h"
#include "model/generations.h"

namespace unha {
namespace {

// The values of the R1 distills (deepseek-v3.md section 12) with fewer and smaller layers, every key of a release
// there.
Json llama() {
  return parse_json(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 0, "eos_token_id": [1, 8, 9], "head_dim": 16, "hidden_act": "silu", "hidden_size": 64,
    "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 131072, "mlp_bias": false,
    "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0,
    "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.43.0", "use_cache": true,
    "vocab_size": 100})",
                    "llama");
}
Json qwen2() {
  return parse_json(R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
    "eos_token_id": 1, "hidden_act": "silu", "hidden_size": 96, "initializer_range": 0.02, "intermediate_size": 64,
    "max_position_embeddings": 131072, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 6,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000,
    "sliding_window": 4096, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.44.0",
    "use_cache": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 100})",
                    "qwen2");
}
Json qwen3() {
  return parse_json(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 1, "eos_token_id": 2, "head_dim": 32, "hidden_act": "silu", "hidden_size": 64,
    "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 131072, "max_window_layers": 36,
    "model_type": "qwen3", "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06, "rope_scaling": {"attn_factor": 0.8782488562869419, "factor": 4.0,
    "original_max_position_embeddings": 32768, "rope_type": "yarn"}, "rope_theta": 1000000, "sliding_window": null,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": true,
    "use_sliding_window": false, "vocab_size": 100})",
                    "qwen3");
}

// The message of the Error that building gives; empty if it gives none.
std::string refusal(const Json& config) {
  try {
    build_model(config, "config.json");
  } catch (const Error& e) {
    return e.message();
  }
  return "";
}

std::unique_ptr<Model> built(const Json& config) { return build_model(config, "config.json"); }
const DenseConfig& dense(const std::unique_ptr<Model>& model) { return dynamic_cast<DenseModel&>(*model).dense(); }

TEST(DenseConfig, ReleasedFilesAreRead) {
  auto l = built(llama());
  EXPECT_EQ(l->eos_token_ids(), (std::vector<int64_t>{1, 8, 9}));
  EXPECT_EQ(dense(l).rope.llama3->original_max_position_embeddings, 8192);
  EXPECT_EQ(dense(l).rope.pairing, Pairing::kHalfSplit);
  auto q = built(qwen2());
  EXPECT_EQ(dense(q).head_dim, 16);
  EXPECT_NE(q->params().find("model.layers.1.self_attn.v_proj.bias"), nullptr);
  EXPECT_EQ(q->params().find("model.layers.1.self_attn.o_proj.bias"), nullptr);
  EXPECT_EQ(q->cache_layout().bytes_per_token(DType::kF32), 2 * 2 * 2 * 16 * 4);
  auto q3 = built(qwen3());
  EXPECT_NEAR(*dense(q3).rope.yarn->attention_factor, 1, 1e-15);
  EXPECT_EQ(q3->params().find("model.layers.0.self_attn.k_norm.weight")->size(), 32);
}

TEST(DenseConfig, EveryMisfitIsRefusedByName) {
  struct Case {
    Json config;
    const char* key;
    Json value;
  };
  const Case cases[] = {
      {llama(), "hidden_size", 0},
      {llama(), "hidden_act", "gelu"},
      {llama(), "num_key_value_heads", 3},
      {llama(), "head_dim", 15},
      {llama(), "mlp_bias", true},
      {llama(), "rms_norm_eps", 0},
      {llama(), "rope_theta", 1},
      {llama(), "eos_token_id", {1, 100}},
      {llama(), "bos_token_id", 100},
      {llama(), "rope_interleaved", true},
      {llama(), "partial_rotary_factor", 0.5},
      {llama(), "sliding_window", 16},
      {llama(), "quantization_config", Json::object()},
      {llama(), "rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}},
      {llama(), "rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}},
      {qwen2(), "num_attention_heads", 7},
      {qwen2(), "use_sliding_window", true},
      {qwen2(), "use_mrope", true},
      {qwen2(), "layer_types", {"full_attention", "sliding_attention"}},
      {qwen2(), "layer_types", {"full_attention"}},
      {qwen2(), "attention_bias", true},
      {qwen3(), "use_sliding_window", true},
      {qwen3(), "num_experts", 8},
  };
  for (Case c : cases) {
    c.config[c.key] = c.value;
    EXPECT_NE(refusal(c.config).find(c.key), std::string::npos) << c.key << ": " << refusal(c.config);
  }
}

TEST(DenseConfig, EveryKeyOfScalingIsReadOrRefused) {
  auto with = [](Json config, const char* key, const Json& value) {
    config["rope_scaling"][key] = value;
    return refusal(config);
  };
  EXPECT_NE(with(llama(), "factor", 0).find("factor"), std::string::npos);
  EXPECT_NE(with(llama(), "high_freq_factor", 1).find("high_freq_factor"), std::string::npos);
  EXPECT_NE(with(llama(), "beta_fast", 32).find("beta_fast"), std::string::npos);
  EXPECT_NE(with(qwen3(), "mscale", 1).find("mscale"), std::string::npos);
  EXPECT_NE(with(qwen3(), "truncate", false).find("truncate"), std::string::npos);
  EXPECT_NE(with(qwen3(), "attention_factor", 1).find("attn_factor"), std::string::npos);
  EXPECT_NE(with(qwen3(), "type", "linear").find("type"), std::string::npos);
  EXPECT_EQ(with(qwen3(), "beta_slow", 2), "");
}

TEST(DenseConfig, UnknownKeysArePassedOverWhereAllowed) {
  Json config = llama();
  config["surprise"] = 1;
  config["rope_scaling"]["wonder"] = 2;
  EXPECT_NE(refusal(config).find("wonder"), std::string::npos);
  auto model = build_model(config, "config.json", true);
  EXPECT_EQ(model->unknown_keys(), (std::vector<std::string>{"rope_scaling.wonder", "surprise"}));
  config["mlp_bias"] = true;  // known, and matters
  EXPECT_THROW(build_model(config, "config.json", true), Error);
}

TEST(DenseConfig, SwitchesChangeTheModel) {
  Json config = llama();
  config["attention_bias"] = true;
  config["rope_interleave"] = true;
  config["tie_word_embeddings"] = true;
  config["num_key_value_heads"] = nullptr;
  config["head_dim"] = nullptr;
  auto model = built(config);
  EXPECT_NE(model->params().find("model.layers.0.self_attn.o_proj.bias"), nullptr);
  EXPECT_EQ(dense(model).rope.pairing, Pairing::kAdjacent);
  EXPECT_EQ(model->params().find("lm_head.weight"), nullptr);
  EXPECT_EQ(dense(model).num_key_value_heads, 4);
  EXPECT_EQ(dense(model).head_dim, 16);
}

TEST(DenseConfig, BothSpellingsOfRopeGiveTheSame) {
  for (const Json& old : {llama(), qwen3()}) {
    Json now = old;
    now["rope_parameters"] = old["rope_scaling"];
    now["rope_parameters"]["rope_theta"] = old["rope_theta"];
    now.erase("rope_scaling");
    now.erase("rope_theta");
    EXPECT_EQ(rope_frequencies(dense(built(old)).rope), rope_frequencies(dense(built(now)).rope));
  }
}

TEST(DenseConfig, CostsAreThoseOfTheShapes) {
  auto model = built(qwen2());
  ModelCosts costs = model->costs(1);
  int64_t biases = 2 * (6 + 2 + 2) * 16, norms = 5 * 96, embedding = 100 * 96;
  EXPECT_EQ(costs.parameters_active, costs.parameters_total - biases - norms - embedding);
  EXPECT_EQ(costs.forward_flops_per_token, 2.0 * static_cast<double>(costs.parameters_active) + 2 * 4 * 96);
}

}  // namespace
}  // namespace unha
