// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_source.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/json.h"
#include "io/gguf_builder.h"
#include "io/test_dir.h"

namespace unha {
namespace {

constexpr uint32_t kF32 = 0;

std::string floats(int64_t n, float first = 0) {
  std::string bytes;
  for (int64_t i = 0; i < n; ++i) bytes += raw_bytes(first + static_cast<float>(i));
  return bytes;
}

// dims in ggml's order
void add(GgufBuilder& b, const std::string& name, const std::vector<uint64_t>& dims) {
  auto n = std::accumulate(dims.begin(), dims.end(), uint64_t{1}, std::multiplies<>());
  b.tensor(name, dims, kF32, floats(static_cast<int64_t>(n)));
}

void tokens(GgufBuilder& b) {
  b.string("tokenizer.ggml.model", "gpt2").strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<s>"});
  b.strings("tokenizer.ggml.merges", {"a b"}).u32("tokenizer.ggml.eos_token_id", 3);
}

using Change = std::function<void(GgufBuilder&)>;

// One block, width 4, two heads of two, one KV head. `without`: a key to leave out.
GgufBuilder dense(const std::string& arch, const std::string& without = "", const Change& change = {}) {
  GgufBuilder b;
  b.string("general.architecture", arch);
  auto u32 = [&](const std::string& key, uint32_t value) {
    if (key != without) b.u32(arch + "." + key, value);
  };
  u32("block_count", 1);
  u32("context_length", 64);
  u32("embedding_length", 4);
  u32("feed_forward_length", 6);
  u32("attention.head_count", 2);
  u32("attention.head_count_kv", 1);
  if (without != "attention.layer_norm_rms_epsilon") b.f32(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  if (change) change(b);
  tokens(b);
  add(b, "token_embd.weight", {4, 4});
  add(b, "output_norm.weight", {4});
  for (const char* norm : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"}) add(b, norm, {4});
  add(b, "blk.0.attn_q.weight", {4, 4});
  add(b, "blk.0.attn_k.weight", {4, 2});
  add(b, "blk.0.attn_v.weight", {4, 2});
  add(b, "blk.0.attn_output.weight", {4, 4});
  add(b, "blk.0.ffn_gate.weight", {4, 6});
  add(b, "blk.0.ffn_up.weight", {4, 6});
  add(b, "blk.0.ffn_down.weight", {6, 4});
  return b;
}

struct Mla {
  bool joined = false, split = true, flat = false;  // forms of kv_b; flat: two dimensions
  bool v3 = true;
  std::string without = {};
  Change change = {};
};

// Two blocks, the second with three experts of width 5; D 4, H 2, R 8, nope 6, rope 2, v 3.
GgufBuilder deepseek(const Mla& o) {
  GgufBuilder b;
  b.string("general.architecture", "deepseek2");
  auto u32 = [&](const std::string& key, uint32_t value) {
    if (key != o.without) b.u32("deepseek2." + key, value);
  };
  u32("block_count", 2);
  u32("context_length", 640);
  u32("embedding_length", 4);
  u32("feed_forward_length", 7);
  u32("attention.head_count", 2);
  u32("attention.head_count_kv", o.split ? 1 : 2);
  u32("attention.kv_lora_rank", 8);
  u32("attention.key_length", o.split ? 10 : 8);
  u32("attention.value_length", o.split ? 8 : 3);
  if (o.split) u32("attention.key_length_mla", 8);
  if (o.split) u32("attention.value_length_mla", 3);
  u32("rope.dimension_count", 2);
  u32("leading_dense_block_count", 1);
  u32("expert_count", 3);
  u32("expert_used_count", 2);
  u32("expert_shared_count", 1);
  u32("expert_feed_forward_length", 5);
  b.f32("deepseek2.attention.layer_norm_rms_epsilon", 1e-6f);
  if (o.change) o.change(b);
  tokens(b);
  add(b, "token_embd.weight", {4, 4});
  add(b, "output_norm.weight", {4});
  add(b, "output.weight", {4, 4});
  for (int i = 0; i < 2; ++i) {
    auto name = [&](const char* part) { return fmt::format("blk.{}.{}", i, part); };
    add(b, name("attn_norm.weight"), {4});
    add(b, name("ffn_norm.weight"), {4});
    if (o.v3) {
      add(b, name("attn_q_a.weight"), {4, 6});
      add(b, name("attn_q_a_norm.weight"), {6});
      add(b, name("attn_q_b.weight"), {6, 16});
    } else {
      add(b, name("attn_q.weight"), {4, 16});
    }
    add(b, name("attn_kv_a_mqa.weight"), {4, 10});
    add(b, name("attn_kv_a_norm.weight"), {8});
    if (o.joined) add(b, name("attn_kv_b.weight"), {8, 18});
    if (o.split)
      add(b, name("attn_k_b.weight"), o.flat ? std::vector<uint64_t>{6, 16} : std::vector<uint64_t>{6, 8, 2});
    if (o.split) add(b, name("attn_v_b.weight"), o.flat ? std::vector<uint64_t>{8, 6} : std::vector<uint64_t>{8, 3, 2});
    add(b, name("attn_output.weight"), {6, 4});
  }
  for (const char* part : {"gate", "up"}) add(b, fmt::format("blk.0.ffn_{}.weight", part), {4, 7});
  add(b, "blk.0.ffn_down.weight", {7, 4});
  add(b, "blk.1.ffn_gate_inp.weight", {4, 3});
  if (o.v3) add(b, "blk.1.exp_probs_b.bias", {3});
  for (const char* part : {"gate", "up"}) {
    add(b, fmt::format("blk.1.ffn_{}_shexp.weight", part), {4, 5});
    add(b, fmt::format("blk.1.ffn_{}_exps.weight", part), {4, 5, 3});
  }
  add(b, "blk.1.ffn_down_shexp.weight", {5, 4});
  add(b, "blk.1.ffn_down_exps.weight", {5, 4, 3});
  return b;
}

struct Opened {
  TestDir dir;
  std::shared_ptr<const ModelSource> source;
  Json config;

  explicit Opened(const GgufBuilder& builder) {
    write_file_atomic(dir / "m.gguf", builder.build());
    source = open_gguf_source(dir / "m.gguf");
    config = parse_json(source->read_text("config.json"), "config.json");
  }
  std::vector<int64_t> shape(const std::string& name) const {
    const SourceTensor* tensor = source->find(name);
    return tensor != nullptr ? tensor->shape : std::vector<int64_t>{-1};
  }
};

void expect_refused(const GgufBuilder& builder, const std::string& part, ErrorCode code = ErrorCode::kInvalidArgument) {
  expect_error(code, part, [&] { Opened opened(builder); });
  expect_error(code, "m.gguf", [&] { Opened opened(builder); });
}

TEST(GgufSource, ADenseModelUnderHuggingFaceNames) {
  Opened llama(dense("llama"));
  EXPECT_EQ(llama.shape("model.embed_tokens.weight"), (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(llama.shape("model.layers.0.self_attn.k_proj.weight"), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(llama.shape("model.layers.0.mlp.down_proj.weight"), (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(llama.shape("model.layers.0.post_attention_layernorm.weight"), (std::vector<int64_t>{4}));
  EXPECT_EQ(llama.source->find("lm_head.weight"), nullptr);
  const SourceTensor& k = *llama.source->find("model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(k.bytes, 32);
  EXPECT_EQ(k.file, llama.dir / "m.gguf");
  float row[4];
  k.matrix.widen(1, 0, 4, row);
  EXPECT_EQ(row[3], 7.0f);
  const Json expected = {{"model_type", "llama"},
                         {"num_hidden_layers", 1},
                         {"hidden_size", 4},
                         {"intermediate_size", 6},
                         {"max_position_embeddings", 64},
                         {"num_attention_heads", 2},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"vocab_size", 4},
                         {"tie_word_embeddings", true},
                         {"eos_token_id", 3},
                         {"hidden_act", "silu"},
                         {"num_key_value_heads", 1},
                         {"head_dim", 2},
                         {"rope_scaling", nullptr},
                         {"rope_interleave", true},
                         {"attention_bias", false}};
  EXPECT_EQ(llama.config, expected);
  std::vector<const SourceTensor*> all = llama.source->tensors();
  EXPECT_EQ(all.size(), 11u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](auto* a, auto* b) { return a->name < b->name; }));
  EXPECT_TRUE(llama.source->has_file("tokenizer.json"));
  EXPECT_FALSE(llama.source->has_file("generation_config.json"));
  expect_error(ErrorCode::kNotFound, "generation_config.json",
               [&] { llama.source->read_text("generation_config.json"); });

  Opened qwen(dense("qwen2", "attention.head_count_kv"));
  EXPECT_EQ(qwen.config["num_key_value_heads"], 2);
  EXPECT_FALSE(qwen.config.contains("rope_interleave"));
}

TEST(GgufSource, KeysOfTheArchitectureAreKnownOrHandedOnByName) {
  Opened opened(dense("llama", "", [](GgufBuilder& b) {
    b.f32("llama.attention.clamp_kqv", 8).u32("general.file_type", 1).u32("llama.vocab_size", 4);
    b.f32("llama.rope.freq_base", 500000).u32("llama.rope.dimension_count", 2).u32("quantize.imatrix.entries", 3);
  }));
  EXPECT_EQ(opened.config["llama.attention.clamp_kqv"], "F32");
  EXPECT_EQ(opened.config["rope_theta"], 500000.0);
  for (const auto& [key, value] : opened.config.items()) EXPECT_EQ(key.find("imatrix"), std::string::npos) << key;
}

TEST(GgufSource, DenseMisfitsAreRefusedByKey) {
  for (const char* key : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                          "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    expect_refused(dense("llama", key), fmt::format("key \"llama.{}\"", key));
  }
  auto with = [&](const std::string& key, uint32_t value) {
    return dense("llama", key, [&](GgufBuilder& b) { b.u32("llama." + key, value); });
  };
  expect_refused(with("block_count", 0), "from 1 to 100000, found 0");
  expect_refused(with("block_count", 99999), "tensor \"blk.1.attn_norm.weight\" is not there");
  expect_refused(with("attention.head_count", 0), "found 0");
  expect_refused(with("attention.head_count", 3), "3 does not divide embedding_length 4");
  expect_refused(with("attention.head_count_kv", 0), "found 0");
  expect_refused(with("vocab_size", 5), "it says 5, tensor \"token_embd.weight\" has 4 rows");
  expect_refused(with("expert_count", 8), "llama.expert_count", ErrorCode::kUnsupported);
  expect_refused(with("attention.sliding_window", 16), "a window of 16", ErrorCode::kUnsupported);
  expect_refused(with("rope.dimension_count", 1), "only the head's width, 2", ErrorCode::kUnsupported);
  auto with_float = [&](const std::string& key, float value) {
    return dense("llama", key, [&](GgufBuilder& b) { b.f32("llama." + key, value); });
  };
  expect_refused(with_float("attention.layer_norm_rms_epsilon", 0), "must be positive, found 0");
  expect_refused(with_float("rope.freq_base", 0), "must be above 1, found 0");
  expect_refused(with_float("rope.scaling.factor", 4), "\"linear\" is not supported", ErrorCode::kUnsupported);
  expect_refused(dense("mamba"), "architecture \"mamba\" is not supported; known: \"deepseek2\"",
                 ErrorCode::kUnsupported);
}

TEST(GgufSource, YarnOfADenseModel) {
  Opened opened(dense("qwen3", "", [](GgufBuilder& b) {
    b.string("qwen3.rope.scaling.type", "yarn").f32("qwen3.rope.scaling.factor", 4);
    b.u32("qwen3.rope.scaling.original_context_length", 16).f32("qwen3.rope.scaling.attn_factor", 0.75f);
  }));
  const Json expected = {{"type", "yarn"},    {"factor", 4.0},    {"original_max_position_embeddings", 16},
                         {"beta_fast", 32.0}, {"beta_slow", 1.0}, {"attn_factor", 0.75}};
  EXPECT_EQ(opened.config["rope_scaling"], expected);
}

TEST(GgufSource, DeepseekInItsPresentLayout) {
  Opened opened(deepseek({.change = [](GgufBuilder& b) {
    b.u32("deepseek2.expert_gating_func", 2).f32("deepseek2.expert_weights_scale", 2.5f);
    b.boolean("deepseek2.expert_weights_norm", true).u32("deepseek2.attention.q_lora_rank", 6);
    b.string("deepseek2.rope.scaling.type", "yarn").f32("deepseek2.rope.scaling.factor", 40);
    b.u32("deepseek2.rope.scaling.original_context_length", 64);
    b.f32("deepseek2.rope.scaling.yarn_log_multiplier", 0.1f);
  }}));
  Json& c = opened.config;
  EXPECT_EQ(c["model_type"], "deepseek_v3");
  EXPECT_EQ(c["scoring_func"], "sigmoid");
  EXPECT_EQ(c["topk_method"], "noaux_tc");
  EXPECT_EQ(c["norm_topk_prob"], true);
  EXPECT_EQ(c["routed_scaling_factor"], 2.5);
  EXPECT_EQ(c["n_group"], 1);
  EXPECT_EQ(c["q_lora_rank"], 6);
  EXPECT_EQ(c["kv_lora_rank"], 8);
  EXPECT_EQ(c["qk_nope_head_dim"], 6);
  EXPECT_EQ(c["qk_rope_head_dim"], 2);
  EXPECT_EQ(c["v_head_dim"], 3);
  EXPECT_EQ(c["num_key_value_heads"], 2);
  EXPECT_EQ(c["first_k_dense_replace"], 1);
  EXPECT_EQ(c["moe_intermediate_size"], 5);
  EXPECT_EQ(c["n_shared_experts"], 1);
  EXPECT_EQ(c["rope_scaling"]["mscale"], 1.0);
  EXPECT_EQ(c["rope_scaling"]["mscale_all_dim"], 1.0);
  EXPECT_EQ(c["rope_scaling"]["original_max_position_embeddings"], 64);
  EXPECT_EQ(opened.shape("model.layers.1.self_attn.k_b_proj.weight"), (std::vector<int64_t>{2, 8, 6}));
  EXPECT_EQ(opened.shape("model.layers.1.self_attn.v_b_proj.weight"), (std::vector<int64_t>{2, 3, 8}));
  EXPECT_EQ(opened.shape("model.layers.1.mlp.gate.e_score_correction_bias"), (std::vector<int64_t>{3}));
  const SourceTensor* down = opened.source->find("model.layers.1.mlp.experts.2.down_proj.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->shape, (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(down->bytes, 80);
  float row[5];
  down->matrix.widen(1, 0, 5, row);
  EXPECT_EQ(row[0], 2 * 20 + 5.0f);
  EXPECT_EQ(opened.shape("model.layers.1.mlp.experts.3.down_proj.weight"), (std::vector<int64_t>{-1}));
}

TEST(GgufSource, DeepseekInItsOlderLayouts) {
  Opened joined(deepseek({.joined = true, .split = false, .v3 = false}));
  EXPECT_EQ(joined.config["model_type"], "deepseek_v2");
  EXPECT_EQ(joined.config["scoring_func"], "softmax");
  EXPECT_EQ(joined.config["topk_method"], "greedy");
  EXPECT_EQ(joined.config["norm_topk_prob"], false);
  EXPECT_EQ(joined.config["routed_scaling_factor"], 1.0);
  EXPECT_TRUE(joined.config["q_lora_rank"].is_null());
  EXPECT_EQ(joined.config["qk_nope_head_dim"], 6);
  EXPECT_EQ(joined.config["v_head_dim"], 3);
  EXPECT_EQ(joined.shape("model.layers.0.self_attn.kv_b_proj.weight"), (std::vector<int64_t>{18, 8}));
  // Joined and split in two dimensions; the gating function follows from the bias, q_lora_rank from the tensor.
  Opened both(deepseek({.joined = true, .flat = true}));
  EXPECT_EQ(both.config["model_type"], "deepseek_v3");
  EXPECT_EQ(both.config["q_lora_rank"], 6);
  EXPECT_EQ(both.shape("model.layers.0.self_attn.kv_b_proj.weight"), (std::vector<int64_t>{18, 8}));
  EXPECT_EQ(both.shape("model.layers.0.self_attn.k_b_proj.weight"), (std::vector<int64_t>{2, 8, 6}));
  EXPECT_EQ(both.shape("model.layers.0.self_attn.v_b_proj.weight"), (std::vector<int64_t>{2, 3, 8}));
  Opened groups(deepseek({.v3 = false, .change = [](GgufBuilder& b) { b.u32("deepseek2.expert_group_count", 3); }}));
  EXPECT_EQ(groups.config["topk_method"], "group_limited_greedy");
}

TEST(GgufSource, DeepseekMisfitsAreRefusedByKey) {
  for (const char* key : {"attention.kv_lora_rank", "rope.dimension_count", "expert_used_count", "expert_shared_count",
                          "expert_feed_forward_length", "expert_count"}) {
    expect_refused(deepseek({.without = key}), fmt::format("key \"deepseek2.{}\"", key));
  }
  auto with = [](const std::string& key, uint32_t value) {
    return deepseek({.without = key, .change = [=](GgufBuilder& b) { b.u32("deepseek2." + key, value); }});
  };
  expect_refused(with("expert_count", 60000), "it says 60000");
  expect_refused(with("leading_dense_block_count", 0), "tensor \"blk.0.ffn_gate_exps.weight\" has 0 experts");
  expect_refused(with("leading_dense_block_count", 2), "tensor \"blk.1.ffn_gate_exps.weight\" has 3 experts");
  expect_refused(with("attention.head_count_kv", 3), "expected 1 or head_count (2), found 3");
  expect_refused(with("attention.key_length", 9), "expected kv_lora_rank + rope.dimension_count = 10");
  expect_refused(with("expert_gating_func", 3), "only 1 (softmax) and 2 (sigmoid)", ErrorCode::kUnsupported);
  expect_refused(with("nextn_predict_layers", 2), "from 0 to 1, found 2");
  GgufBuilder flat = deepseek({});
  add(flat, "blk.0.ffn_up_exps.weight", {4, 5});
  expect_refused(flat, "tensor \"blk.0.ffn_up_exps.weight\": expected three dimensions, found 2", ErrorCode::kCorrupt);
  GgufBuilder empty = deepseek({});
  empty.tensor("blk.0.ffn_up_exps.weight", {0, 4, uint64_t{1} << 40}, kF32, "");
  expect_refused(empty, "1099511627776 experts in 0 bytes", ErrorCode::kCorrupt);
  GgufBuilder twice = deepseek({});
  add(twice, "model.norm.weight", {4});
  expect_refused(twice, "two tensors stand for \"model.norm.weight\"", ErrorCode::kCorrupt);
}

TEST(GgufSource, WhatIsAGgufPath) {
  TestDir dir;
  EXPECT_TRUE(is_gguf_path("x.gguf"));
  EXPECT_FALSE(is_gguf_path("x.safetensors"));
  EXPECT_FALSE(is_gguf_path(dir.path()));
  write_file_atomic(dir / "m.gguf", dense("llama").build());
  EXPECT_TRUE(is_gguf_path(dir.path()));
  write_file_atomic(dir / "config.json", "{}");
  EXPECT_FALSE(is_gguf_path(dir.path()));
}

}  // namespace
}  // namespace unha
