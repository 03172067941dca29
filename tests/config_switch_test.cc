// SPDX-License-Identifier: Apache-2.0
// Every key that a config.json has (deepseek-v3.md sections 0 and 9) does what this table says:
// turned over in a golden case it changes the logits, or no longer fits the tensors, or is refused by name, or has no
// effect on the forward. The last column names the golden that pins the key's right meaning, and the mistake of its
// "switch_effects" which stands for ignoring it: what conform_test.cc compares, fails then.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "base/error.h"
#include "io/file.h"
#include "model/generations.h"
#include "model/source.h"
#include "ops/linear.h"
#include "text/test_shared.h"

namespace unha {
namespace {

namespace fs = std::filesystem;

enum class Outcome { kChanges, kMisfit, kRefused, kNoEffect };
std::ostream& operator<<(std::ostream& out, Outcome o) {
  static const char* const kNames[] = {"changes the logits", "does not fit the tensors", "is refused", "has no effect"};
  return out << kNames[static_cast<int>(o)];
}
using enum Outcome;

struct Switch {
  const char* golden;
  const char* key;    // "rope_scaling.factor": nested
  const char* value;  // JSON; with more than one key, an object that is merged into the config
  Outcome outcome;
  const char* pinned_by = "";  // "case" or "case:effect"
};

const Switch kSwitches[] = {
    // shapes: a wrong one does not fit, so any golden of other shapes pins them
    {"v3-f32", "hidden_size", "128", kMisfit, "v2-full"},
    {"v3-f32", "num_hidden_layers", "2", kChanges, "v3-edge"},
    {"v3-f32", "num_attention_heads", R"({"num_attention_heads": 2, "num_key_value_heads": 2})", kMisfit, "v2-full"},
    {"v3-f32", "num_key_value_heads", "1", kRefused, "v3-f32"},
    {"v3-f32", "q_lora_rank", "null", kMisfit, "v3-noqlora"},
    {"v3-noqlora", "q_lora_rank", "16", kMisfit, "v3-f32"},
    {"v3-f32", "kv_lora_rank", "16", kMisfit, "v2-full"},
    {"v3-f32", "qk_nope_head_dim", "8", kMisfit, "v3-f32"},
    {"v3-f32", "qk_rope_head_dim", "16", kMisfit, "v3-edge"},
    {"v3-f32", "v_head_dim", "8", kMisfit, "v2-full"},
    {"v3-f32", "intermediate_size", "8", kMisfit, "v2-full"},
    {"v3-f32", "moe_intermediate_size", "8", kMisfit, "v2-lite"},
    {"v3-f32", "vocab_size", "280", kMisfit, "v3-f32"},
    {"v3-f32", "qk_head_dim", "9", kRefused, "v3-f32"},
    {"v3-f32", "head_dim", "9", kNoEffect},
    // which layers, which experts
    {"v3-f32", "first_k_dense_replace", "0", kMisfit, "v3-bf16"},
    {"v3-edge", "moe_layer_freq", "1", kMisfit, "v3-edge"},
    {"v3-f32", "n_routed_experts", "8", kMisfit, "v2-lite"},
    {"v2-lite", "n_shared_experts", "1", kMisfit, "v2-lite"},
    {"v2-lite", "n_shared_experts", "null", kChanges, "v2-lite:no_shared_experts"},
    {"v3-f32", "num_experts_per_tok", "1", kChanges, "v3-edge"},
    {"v2-full", "n_group", R"({"n_group": 1, "topk_group": 1})", kChanges, "v2-full:no_group_limit"},
    {"v3-edge", "n_group", R"({"n_group": 1, "topk_group": 1})", kChanges, "v3-edge:no_group_limit"},
    {"v3-edge", "topk_group", "1", kChanges, "v3-edge:no_group_limit"},
    {"v2-full", "topk_method", "\"greedy\"", kChanges, "v2-full:no_group_limit"},
    {"v2-full", "topk_method", "\"noaux_tc\"", kMisfit, "v2-full:other_group_score"},
    {"v2-full", "topk_method", "\"gready\"", kRefused},
    {"v3-edge", "topk_method", "\"greedy\"", kRefused, "v3-edge:no_router_bias"},
    {"v32", "topk_method", "\"greedy\"", kRefused, "v32:no_router_bias"},
    {"v2-lite", "scoring_func", "\"sigmoid\"", kChanges, "v2-lite:other_scoring_func"},
    {"v2-lite", "scoring_func", "\"tanh\"", kRefused},
    {"v3-edge", "scoring_func", "\"softmax\"", kRefused, "v3-edge:other_scoring_func"},
    {"v32", "scoring_func", "\"softmax\"", kRefused, "v32:other_scoring_func"},
    {"v2-full", "norm_topk_prob", "true", kChanges, "v2-full:other_norm_topk_prob"},
    {"v3-edge", "norm_topk_prob", "false", kChanges, "v3-edge:other_norm_topk_prob"},
    {"v2-full", "routed_scaling_factor", "1.0", kChanges, "v2-full:no_routed_scaling"},
    {"v3-edge", "routed_scaling_factor", "1.0", kChanges, "v3-edge:no_routed_scaling"},
    // rotation
    {"v3-edge", "rope_theta", "10000", kChanges, "v3-edge:theta_10000"},
    {"v3-edge", "rope_scaling", "null", kChanges, "v3-edge:no_yarn"},
    {"v3-edge", "rope_scaling.type", "\"linear\"", kRefused, "v3-edge:no_yarn"},
    {"v3-edge", "rope_scaling.factor", "40", kChanges, "v3-edge:no_yarn_freqs"},
    {"v3-edge", "rope_scaling.original_max_position_embeddings", "4096", kChanges, "v3-edge:no_yarn_freqs"},
    {"v3-edge", "rope_scaling.beta_fast", "32", kChanges, "v3-edge:beta_fast_32"},
    {"v3-edge", "rope_scaling.beta_slow", "1", kChanges, "v3-edge:beta_slow_1"},
    {"v3-edge", "rope_scaling.mscale", "0.6", kChanges, "v3-edge:mscale_all_dim_as_mscale"},
    {"v3-edge", "rope_scaling.mscale_all_dim", "1.0", kChanges, "v3-edge:scale_from_mscale"},
    {"v3-yarn-clamp", "rope_scaling.mscale_all_dim", "0.7", kChanges, "v3-yarn-clamp"},
    {"v3-edge", "rope_scaling.attention_factor", "1.0", kRefused},
    {"v3-edge", "rope_interleave", "false", kRefused, "v3-edge:rope_half_split"},
    {"v3-f32", "rope_parameters", R"({"rope_parameters": {"rope_type": "default", "rope_theta": 77},
                                      "rope_theta": 77})",
     kChanges, "v3-edge:theta_10000"},
    // the rest of the forward
    {"v3-f32", "rms_norm_eps", "0.01", kChanges, "v32-small-keys"},
    {"v3-f32", "hidden_act", "\"gelu\"", kRefused, "v3-f32"},
    {"v3-noqlora", "attention_bias", "false", kChanges, "v3-noqlora"},
    {"v3-f32", "attention_bias", "true", kMisfit, "v3-noqlora"},
    {"v3-f32", "mlp_bias", "true", kRefused},
    {"v3-f32", "tie_word_embeddings", "true", kChanges, "v3-noqlora"},
    {"v3-noqlora", "tie_word_embeddings", "false", kMisfit, "v3-f32"},
    {"v3-f32", "num_nextn_predict_layers", "1", kMisfit, "v3-mtp"},
    {"v3-f32", "quantization_config", R"({"quantization_config": {"quant_method": "awq"}})", kRefused, "v3-fp8"},
    // sparse attention
    {"v32", "index_n_heads", "4", kMisfit, "v32"},
    {"v32", "index_head_dim", "16", kMisfit, "v32"},
    {"v32", "index_topk", "1000", kChanges, "v32:no_indexer"},
    {"v32", "model_type", "\"deepseek_v3\"", kRefused, "v32:no_indexer"},
    {"v3-f32", "index_topk", "16", kRefused},
    {"v32", "indexer_rope_interleave", "true", kRefused, "v32:indexer_rope_interleaved"},
    // what the engine uses and the forward does not (see the last test)
    {"v3-f32", "bos_token_id", "7", kNoEffect},
    {"v3-f32", "eos_token_id", "7", kNoEffect},
    {"v3-mtp", "num_nextn_predict_layers", "0", kNoEffect},
    {"v3-f32", "max_position_embeddings", "2000", kNoEffect},
    // training and packaging
    {"v2-lite", "architectures", "[\"X\"]", kNoEffect},
    {"v2-lite", "attention_dropout", "0.5", kNoEffect},
    {"v2-lite", "auto_map", "{\"AutoConfig\": \"x.X\"}", kNoEffect},
    {"v2-lite", "aux_loss_alpha", "0.5", kNoEffect},
    {"v2-lite", "dtype", "\"float16\"", kNoEffect},
    {"v2-lite", "ep_size", "8", kNoEffect},
    {"v2-lite", "initializer_range", "0.5", kNoEffect},
    {"v2-lite", "pad_token_id", "3", kNoEffect},
    {"v2-lite", "pretraining_tp", "2", kNoEffect},
    {"v2-lite", "seq_aux", "false", kNoEffect},
    {"v2-lite", "torch_dtype", "\"float16\"", kNoEffect},
    {"v2-lite", "transformers_version", "\"1\"", kNoEffect},
    {"v2-lite", "use_cache", "false", kNoEffect},
    {"v2-lite", "sliding_window", "16", kRefused},
    // the dense generations (section 9)
    {"llama", "hidden_size", "64", kMisfit, "qwen2"},
    {"llama", "num_hidden_layers", "2", kChanges, "llama"},
    {"llama", "num_attention_heads", "8", kMisfit, "qwen2"},
    {"llama", "num_key_value_heads", "4", kMisfit, "llama:kv_head_modulo"},
    {"llama", "head_dim", "16", kMisfit, "llama"},
    {"llama", "intermediate_size", "100", kMisfit, "qwen2"},
    {"llama", "vocab_size", "280", kMisfit, "qwen2"},
    {"llama", "rms_norm_eps", "0.01", kChanges, "llama"},
    {"llama", "hidden_act", "\"gelu\"", kRefused, "llama"},
    {"llama", "attention_bias", "true", kMisfit, "llama"},
    {"llama", "mlp_bias", "true", kRefused, "llama"},
    {"llama", "tie_word_embeddings", "true", kChanges, "llama:embedding_as_head"},
    {"llama", "rope_theta", "5000000", kChanges, "llama:rope_theta_x10"},
    {"llama", "rope_scaling", "null", kChanges, "llama:no_llama3_scaling"},
    {"llama", "rope_scaling.rope_type", "\"linear\"", kRefused, "llama:no_llama3_scaling"},
    {"llama", "rope_scaling.factor", "4", kChanges, "llama:no_llama3_scaling"},
    {"llama", "rope_scaling.low_freq_factor", "2", kChanges, "llama:llama3_no_middle_band"},
    {"llama", "rope_scaling.high_freq_factor", "2", kChanges, "llama:llama3_no_middle_band"},
    {"llama", "rope_scaling.original_max_position_embeddings", "64", kChanges, "llama:no_llama3_scaling"},
    {"llama", "max_position_embeddings", "2000", kNoEffect},
    {"llama", "bos_token_id", "7", kNoEffect},
    {"llama", "eos_token_id", "[7, 8]", kNoEffect},
    {"llama", "architectures", "[\"X\"]", kNoEffect},
    {"llama", "attention_dropout", "0.5", kNoEffect},
    {"llama", "initializer_range", "0.5", kNoEffect},
    {"llama", "pretraining_tp", "2", kNoEffect},
    {"llama", "torch_dtype", "\"float16\"", kNoEffect},
    {"llama", "transformers_version", "\"1\"", kNoEffect},
    {"llama", "use_cache", "false", kNoEffect},
    {"llama", "model_type", "\"gpt2\"", kRefused, "llama"},
    {"qwen2", "rope_theta", "100000", kChanges, "qwen2:rope_theta_x10"},
    {"qwen2", "sliding_window", "8", kNoEffect, "qwen2:sliding_window_on"},
    {"qwen2", "use_sliding_window", "true", kRefused, "qwen2:sliding_window_on"},
    {"qwen2", "max_window_layers", "1", kNoEffect, "qwen2:sliding_window_on"},
    {"qwen2", "use_mrope", "true", kRefused},
};

// The generations without latent attention read other files.
bool is_dense(const std::string& golden) { return golden == "llama" || golden == "qwen2"; }

fs::path golden_dir(const std::string& name) {
  fs::path own = fs::path(UNHA_SOURCE_DIR) / "tests/goldens" / name;
  return fs::exists(own) ? own : shared_folder() / "goldens" / name;
}

Json read_json(const fs::path& path) { return parse_json(read_file(path.string()), path.string()); }

// The case's config with the switch turned over.
Json turned(const Switch& s) {
  Json config = read_json(golden_dir(s.golden) / "config.json");
  Json value = parse_json(std::string("[") + s.value + "]", s.key)[0];
  std::string key = s.key;
  if (size_t dot = key.find('.'); dot != std::string::npos) {
    config[key.substr(0, dot)][key.substr(dot + 1)] = value;
  } else if (value.is_object() && value.contains(key)) {
    for (const auto& [k, v] : value.items()) config[k] = v;
  } else {
    config[key] = value;
  }
  return config;
}

std::vector<float> logits_of(const std::string& golden, const Json& config) {
  std::unique_ptr<Model> model = build_model(config, "config.json");
  std::string dir = golden_dir(golden).string();
  model->params().bind(open_source(dir), Numerics::kF32);
  model->bound();
  auto ids = read_json(dir + "/golden.json")["sequences"][0]["input_ids"].get<std::vector<int32_t>>();
  Threads threads(1);
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  Segment segment{0, static_cast<int64_t>(ids.size()), 0};
  Tensor h = model->trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
  Tensor logits = ops::linear(ctx, model->final_norm(ctx, h), model->head());
  return {logits.data<float>(), logits.data<float>() + logits.size()};
}

// What turning the switch over did. A refusal has to name the key.
Outcome outcome_of(const Switch& s, const std::vector<float>& before) {
  std::string key = s.key;
  key = key.substr(key.find('.') + 1);
  try {
    std::vector<float> after = logits_of(s.golden, turned(s));
    double worst = 0;
    for (size_t i = 0; i < after.size(); ++i) {
      worst = std::max(worst, std::fabs(static_cast<double>(after[i]) - static_cast<double>(before[i])));
    }
    return worst > 2e-2 ? kChanges : kNoEffect;  // a hundred times the tolerance of the goldens
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kCorrupt) return kMisfit;
    if (std::string(s.value) == "\"deepseek_v3\"") key = "index_";  // V3 does not know the keys of V3.2
    EXPECT_NE(e.message().find(key), std::string::npos) << e.message();
    return kRefused;
  }
}

class ConfigSwitch : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(shared_folder() / "goldens")) GTEST_SKIP() << "no " << shared_folder() / "goldens";
  }
};

TEST_F(ConfigSwitch, EachDoesWhatTheTableSays) {
  std::map<std::string, std::vector<float>> before;
  for (const Switch& s : kSwitches) {
    std::vector<float>& logits = before[s.golden];
    if (logits.empty()) logits = logits_of(s.golden, read_json(golden_dir(s.golden) / "config.json"));
    EXPECT_EQ(outcome_of(s, logits), s.outcome) << s.golden << ": " << s.key << " = " << s.value;
  }
}

TEST_F(ConfigSwitch, TheGoldensThatPinThemAreThere) {
  for (const Switch& s : kSwitches) {
    std::string pin = s.pinned_by, effect;
    if (pin.empty()) continue;
    if (size_t colon = pin.find(':'); colon != std::string::npos) {
      effect = pin.substr(colon + 1);
      pin.resize(colon);
    }
    fs::path golden = golden_dir(pin) / "golden.json";
    ASSERT_TRUE(fs::exists(golden)) << golden;
    if (!effect.empty()) {
      EXPECT_TRUE(read_json(golden)["switch_effects"].contains(effect)) << s.pinned_by;
    }
  }
}

TEST_F(ConfigSwitch, EveryKeyOfEveryGoldenIsInTheTable) {
  std::set<std::string> keys[2];  // by is_dense()
  for (const Switch& s : kSwitches) keys[is_dense(s.golden) ? 1 : 0].insert(s.key);
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(shared_folder() / "goldens")) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    Json config = read_json(entry.path() / "config.json");
    auto type = config.value("model_type", std::string());
    bool dense = type == "llama" || type == "qwen2";
    if (!dense && type != "deepseek_v2" && type != "deepseek_v3" && type != "deepseek_v32") continue;
    ++seen;
    auto expect_row = [&](const std::string& key) {
      EXPECT_EQ(keys[dense ? 1 : 0].count(key), 1U) << entry.path() << ": " << key;
    };
    for (const auto& [key, value] : config.items()) {
      expect_row(key);
      if (key != "rope_scaling" || !value.is_object()) continue;
      for (const auto& inner : value.items()) expect_row("rope_scaling." + inner.key());
    }
  }
  EXPECT_GE(seen, 12);
}

TEST_F(ConfigSwitch, WhatTheEngineUsesIsRead) {
  Json config = read_json(golden_dir("v3-mtp") / "config.json");
  config["bos_token_id"] = 7;
  config["eos_token_id"] = 9;
  config["max_position_embeddings"] = 2000;
  auto model = build_model(config, "config.json");
  EXPECT_EQ(model->bos_token_id(), 7);
  EXPECT_EQ(model->eos_token_id(), 9);
  EXPECT_EQ(model->max_positions(), 2000);
  EXPECT_EQ(model->mtp_depth(), 1);
  config["num_nextn_predict_layers"] = 0;
  EXPECT_EQ(build_model(config, "config.json")->mtp_depth(), 0);
}

}  // namespace
}  // namespace unha
