// SPDX-License-Identifier: Apache-2.0
#include "model/deepseek_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/file.h"
#include "io/test_dir.h"
#include "model/generations.h"
#include "model/v2.h"
#include "model/v3.h"

namespace unha {
namespace {

Json golden_config(const std::string& name) {
  std::string path = UNHA_SOURCE_DIR "/tests/goldens/" + name + "/config.json";
  return parse_json(read_file(path), path);
}

// The message of the Error that parsing gives; empty if it gives none.
std::string refusal(const Json& config,
                    DeepseekConfig (*parse)(const Json&, const std::string&, UnknownKeys*) = parse_v3_config) {
  try {
    parse(config, "config.json", nullptr);
  } catch (const Error& e) {
    return e.message();
  }
  return "";
}

TEST(DeepseekConfig, EveryMisfitIsRefusedByName) {
  struct Case {
    const char* key;
    Json value;
  };
  const Case cases[] = {{"hidden_size", 0},
                        {"hidden_size", "64"},
                        {"hidden_act", "gelu"},
                        {"num_key_value_heads", 2},
                        {"kv_lora_rank", nullptr},
                        {"qk_rope_head_dim", 7},
                        {"n_group", 3},
                        {"topk_group", 5},
                        {"topk_method", "greedy"},
                        {"scoring_func", "softmax"},
                        {"num_experts_per_tok", 17},
                        {"rms_norm_eps", 0},
                        {"rope_theta", 1},
                        {"sliding_window", 16},
                        {"quantization_config", Json::object()},
                        {"quantization_config", {{"quant_method", "gptq"}}},
                        {"quantization_config", {{"quant_method", "fp8"}, {"fmt", "e5m2"}}},
                        {"quantization_config", {{"quant_method", "fp8"}, {"bits", 8}}}};
  for (const Case& c : cases) {
    Json config = golden_config("v3-f32");
    config[c.key] = c.value;
    EXPECT_NE(refusal(config).find(c.key), std::string::npos) << c.key << ": " << refusal(config);
  }
  EXPECT_EQ(refusal(golden_config("v3-f32")), "");
}

// transformers 5 writes a list per layer of what other keys say already: it must say the same.
TEST(DeepseekConfig, ListsPerLayerMustAgree) {
  Json config = golden_config("v3-f32");
  auto layers = config["num_hidden_layers"].get<size_t>();
  auto dense = config["first_k_dense_replace"].get<size_t>();
  ASSERT_GT(layers, dense);
  std::vector<std::string> mlp(layers, "sparse"), attention(layers, "full_attention");
  std::fill_n(mlp.begin(), dense, "dense");
  config["mlp_layer_types"] = mlp;
  config["layer_types"] = attention;
  EXPECT_EQ(refusal(config), "");
  config["mlp_layer_types"] = std::vector<std::string>(layers, "dense");
  EXPECT_NE(refusal(config).find("mlp_layer_types"), std::string::npos);
  config["mlp_layer_types"] = mlp;
  attention.pop_back();
  config["layer_types"] = attention;
  EXPECT_NE(refusal(config).find("layer_types"), std::string::npos);
}

TEST(DeepseekConfig, V2TakesAnyRouterAndNothingElse) {
  Json config = golden_config("v3-f32");
  config["topk_method"] = "group_limited_greedy";
  config["scoring_func"] = "softmax";
  config.erase("norm_topk_prob");
  DeepseekConfig c = parse_v2_config(config, "config.json");
  EXPECT_EQ(c.route.topk, ops::TopK::kGroupLimitedGreedy);
  EXPECT_EQ(c.route.scoring, ops::Scoring::kSoftmax);
  EXPECT_FALSE(c.route.norm_topk_prob);
  config["topk_method"] = "greedy";
  config["n_group"] = nullptr;
  config["topk_group"] = nullptr;
  EXPECT_EQ(parse_v2_config(config, "config.json").route.topk, ops::TopK::kGreedy);
  config["topk_method"] = "gready";
  EXPECT_NE(refusal(config, parse_v2_config).find("topk_method"), std::string::npos);
  config["topk_method"] = "greedy";
  config["scoring_func"] = "tanh";
  EXPECT_NE(refusal(config, parse_v2_config).find("scoring_func"), std::string::npos);
}

TEST(DeepseekConfig, OnlyBlockScaledFp8IsAQuantization) {
  Json config = golden_config("v3-f32");
  Json fp8 = {{"activation_scheme", "dynamic"},
              {"fmt", "e4m3"},
              {"quant_method", "fp8"},
              {"scale_fmt", "ue8m0"},
              {"weight_block_size", {128, 128}}};
  config["quantization_config"] = fp8;
  EXPECT_EQ(refusal(config), "");
  struct Case {
    const char* key;
    Json value;
  };
  const Case cases[] = {{"quant_method", "awq"},
                        {"fmt", "e5m2"},
                        {"scale_fmt", "e4m3"},
                        {"activation_scheme", "static"},
                        {"weight_block_size", 128},
                        {"weight_block_size", {128, 0}},
                        {"bits", 4}};
  for (const Case& c : cases) {
    config["quantization_config"] = fp8;
    config["quantization_config"][c.key] = c.value;
    EXPECT_NE(refusal(config).find(c.key), std::string::npos) << c.key << ": " << refusal(config);
  }
}

TEST(DeepseekConfig, UnknownKeysAreListedWhereTheyAreAllowedAndWrongValuesStayRefused) {
  Json config = golden_config("v3-mtp");
  config["sliding_window"] = 16;
  config["rope_scaling"]["truncate"] = true;
  auto model = build_model(config, "config.json", true);
  EXPECT_EQ(model->unknown_keys(), (std::vector<std::string>{"rope_scaling.truncate", "sliding_window"}));
  EXPECT_THROW(build_model(config, "config.json"), Error);
  config["hidden_act"] = "gelu";
  EXPECT_THROW(build_model(config, "config.json", true), Error);
}

TEST(DeepseekConfig, BothSpellingsOfRopeGiveTheSame) {
  Json old = golden_config("v3-mtp");
  Json now = old;
  now["rope_parameters"] = old["rope_scaling"];
  now["rope_parameters"]["rope_type"] = "yarn";
  now["rope_parameters"]["rope_theta"] = old["rope_theta"];
  now["rope_parameters"].erase("type");
  now.erase("rope_scaling");
  now.erase("rope_theta");
  DeepseekConfig a = parse_v3_config(old, "old"), b = parse_v3_config(now, "now");
  EXPECT_EQ(rope_frequencies(a.rope), rope_frequencies(b.rope));
  EXPECT_EQ(a.rope.yarn, b.rope.yarn);
  now["rope_scaling"] = old["rope_scaling"];
  EXPECT_EQ(refusal(now), "");
  now["rope_scaling"]["factor"] = 3;
  EXPECT_NE(refusal(now).find("rope_scaling"), std::string::npos);
  now.erase("rope_scaling");
  now["rope_theta"] = 77;
  EXPECT_NE(refusal(now).find("rope_theta"), std::string::npos);
}

TEST(DeepseekConfig, EngramMustFitTheModel) {
  Json config = golden_config("v3-f32");
  config["engram"] = {{"engram_vocab_size", {97, 149}},
                      {"max_ngram_size", 3},
                      {"n_embed_per_ngram", 24},
                      {"n_head_per_ngram", 3},
                      {"layer_ids", {0, 2}},
                      {"pad_id", 2},
                      {"seed", 5},
                      {"kernel_size", 4},
                      {"hidden_size", 64},
                      {"hc_mult", 1}};
  EXPECT_EQ(refusal(config), "");
  config["engram"]["layer_ids"] = {0, 3};
  EXPECT_NE(refusal(config).find("layer 3"), std::string::npos);
  config["engram"]["layer_ids"] = {0};
  config["engram"]["hidden_size"] = 32;
  EXPECT_NE(refusal(config).find("hidden_size"), std::string::npos);
  config["engram"]["hidden_size"] = 64;
  config["engram"]["taps"] = 4;
  EXPECT_NE(refusal(config).find("taps"), std::string::npos);
}

TEST(Generations, AllMisfitsOfTheTensorsAreListedAtOnce) {
  std::string dir = UNHA_SOURCE_DIR "/tests/goldens/v3-f32";
  Json config = golden_config("v3-f32");
  config["moe_intermediate_size"] = 25;
  config["vocab_size"] = 289;
  auto model = build_model(config, "config.json");
  try {
    model->params().bind(open_source(dir), Numerics::kF32);
    FAIL() << "bound";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("lm_head.weight: expected [289, 64], found [288, 64]"), std::string::npos)
        << e.message();
    EXPECT_NE(e.message().find("experts.0.down_proj.weight"), std::string::npos);
    EXPECT_NE(e.message().find("and "), std::string::npos);
  }
}

TEST(Generations, AnnouncedPredictionLayersThatAreNotThereAreLeftOut) {
  TestDir dir;
  std::string plain = UNHA_SOURCE_DIR "/tests/goldens/v3-f32", mtp = UNHA_SOURCE_DIR "/tests/goldens/v3-mtp";
  Json config = golden_config("v3-f32");
  config["num_nextn_predict_layers"] = 1;
  write_file_atomic(dir / "config.json", config.dump());
  write_file_atomic(dir / "model.safetensors", read_file(plain + "/model.safetensors"));
  EXPECT_EQ(load_model(dir.path(), Numerics::kF32).model->mtp_depth(), 0);
  EXPECT_EQ(load_model(mtp, Numerics::kF32).model->mtp_depth(), 1);
}

TEST(Generations, UnknownModelTypesAreNamed) {
  Json config = golden_config("v3-f32");
  config["model_type"] = "gpt2";
  EXPECT_THROW(build_model(config, "config.json"), Error);
}

}  // namespace
}  // namespace unha
