// SPDX-License-Identifier: Apache-2.0
#include "model/v3_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/file.h"
#include "model/generations.h"

namespace unha {
namespace {

Json golden_config(const std::string& name) {
  std::string path = std::string(UNHA_SOURCE_DIR) + "/tests/goldens/" + name + "/config.json";
  return parse_json(read_file(path), path);
}

// The message of the Error that parsing gives; empty if it gives none.
std::string refusal(const Json& config) {
  try {
    parse_v3_config(config, "config.json");
  } catch (const Error& e) {
    return e.message();
  }
  return "";
}

TEST(V3Config, EveryMisfitIsRefusedByName) {
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
                        {"quantization_config", Json::object()}};
  for (const Case& c : cases) {
    Json config = golden_config("v3-f32");
    config[c.key] = c.value;
    EXPECT_NE(refusal(config).find(c.key), std::string::npos) << c.key << ": " << refusal(config);
  }
  EXPECT_EQ(refusal(golden_config("v3-f32")), "");
}

TEST(V3Config, BothSpellingsOfRopeGiveTheSame) {
  Json old = golden_config("v3-mtp");
  Json now = old;
  now["rope_parameters"] = old["rope_scaling"];
  now["rope_parameters"]["rope_type"] = "yarn";
  now["rope_parameters"]["rope_theta"] = old["rope_theta"];
  now["rope_parameters"].erase("type");
  now.erase("rope_scaling");
  now.erase("rope_theta");
  V3Config a = parse_v3_config(old, "old"), b = parse_v3_config(now, "now");
  EXPECT_EQ(rope_frequencies(a.rope), rope_frequencies(b.rope));
  EXPECT_EQ(a.rope.yarn->mscale_all_dim, b.rope.yarn->mscale_all_dim);
}

TEST(V3Config, EngramMustFitTheModel) {
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
  std::string dir = std::string(UNHA_SOURCE_DIR) + "/tests/goldens/v3-f32";
  Json config = golden_config("v3-f32");
  config["moe_intermediate_size"] = 25;
  config["vocab_size"] = 289;
  auto model = build_model(config, "config.json");
  auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(dir));
  try {
    model->params().bind(checkpoint, Numerics::kF32);
    FAIL() << "bound";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("lm_head.weight: expected [289, 64], found [288, 64]"), std::string::npos)
        << e.message();
    EXPECT_NE(e.message().find("experts.0.down_proj.weight"), std::string::npos);
    EXPECT_NE(e.message().find("and "), std::string::npos);
  }
}

TEST(Generations, UnknownModelTypesAreNamed) {
  Json config = golden_config("v3-f32");
  config["model_type"] = "gpt2";
  EXPECT_THROW(build_model(config, "config.json"), Error);
}

}  // namespace
}  // namespace unha
