// SPDX-License-Identifier: Apache-2.0
#include "train/train_config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace unha {

namespace {
Json good() {
  return {{"model", {{"model_type", "deepseek_v3"}}},
          {"tokenizer", "tok"},
          {"data", {"a.shard", {{"path", "/b"}, {"weight", 0.5}}}},
          {"steps", 100},
          {"batch_tokens", 1024},
          {"sequence_length", 64}};
}
TrainConfig parse(const Json& json) { return parse_train_config(json, "c.json", "/folder"); }

std::string refusal(const Json& json) {
  try {
    parse(json);
  } catch (const Error& e) {
    EXPECT_TRUE(e.code() == ErrorCode::kInvalidArgument);
    return e.message();
  }
  return "accepted";
}
}  // namespace

TEST(TrainConfig, TakesPathsFromTheConfigsFolder) {
  TrainConfig c = parse(good());
  EXPECT_EQ(c.tokenizer, "/folder/tok");
  EXPECT_EQ(c.data[0].path, "/folder/a.shard");
  EXPECT_EQ(c.data[1].path, "/b");
  EXPECT_EQ(c.data[1].weight, 0.5);
  EXPECT_EQ(c.optimizer.beta2, 0.99);
}

TEST(TrainConfig, NamesWhatItDoesNotKnow) {
  Json json = good();
  json["sequence_lenght"] = 64;
  EXPECT_NE(refusal(json).find("sequence_lenght"), std::string::npos);
  json = good();
  json["optimizer"] = {{"learning_rate", 1}};
  EXPECT_NE(refusal(json).find("learning_rate"), std::string::npos);
  json = good();
  json["schedule"] = {{"plateau", 1}};
  EXPECT_NE(refusal(json).find("plateau"), std::string::npos);
}

TEST(TrainConfig, RefusesContradictions) {
  auto with = [](const std::function<void(Json&)>& change) {
    Json json = good();
    change(json);
    return refusal(json);
  };
  EXPECT_NE(with([](Json& j) { j["init"] = "m"; }).find("contradict"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j.erase("model"); }).find("missing"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j.erase("steps"); }).find("steps"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["objective"] = "sft"; }).find("chats"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["chats"] = "c.jsonl"; }).find("chats"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["gradient_groups"] = 3; }).find("power of two"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["gradient_groups"] = 32; }).find("divide"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["batch_tokens"] = 1000; }).find("multiple"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["steps"] = "many"; }).find("integer"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["steps"] = 0; }).find("steps"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["numerics"] = "fp8"; }).find("fp8"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["optimizer"] = {{"betas", {0.9, 1.0}}}; }).find("betas"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["optimizer"] = {{"lr", -1}}; }).find("lr"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["optimizer"] = {{"warmup_steps", 101}}; }).find("warmup"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["schedule"] = {{"plateau_end", 0.99}}; }).find("ascend"), std::string::npos);
  EXPECT_NE(with([](Json& j) { j["data"] = Json::array(); }).find("data"), std::string::npos);
}

TEST(TrainConfig, OverridesReachNestedKeys) {
  Json json = good();
  apply_override(json, "optimizer.lr=1e-3");
  apply_override(json, "steps=7");
  apply_override(json, "tokenizer=other");
  apply_override(json, "heldout=[\"x.txt\"]");
  TrainConfig c = parse(json);
  EXPECT_EQ(c.optimizer.lr, 1e-3);
  EXPECT_EQ(c.steps, 7);
  EXPECT_EQ(c.tokenizer, "/folder/other");
  EXPECT_EQ(c.heldout[0], "/folder/x.txt");
  EXPECT_THROW(apply_override(json, "steps"), Error);
  EXPECT_THROW(apply_override(json, "=1"), Error);
  EXPECT_THROW(apply_override(json, "steps.x=1"), Error);
}

}  // namespace unha
