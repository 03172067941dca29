// SPDX-License-Identifier: Apache-2.0
// unha run, eval, inspect and chat on a tiny random model with a tokenizer of its own, and on the goldens.
#include <gtest/gtest.h>

#include <cmath>

#include "app/chat_session.h"
#include "cli_fixture.h"
#include "program.h"

namespace unha {
namespace {

using InferenceCmd = TinyModelCliTest;

// The program itself, since the tests' own memory is another: what it took is within what it had planned.
TEST(MemoryIsABudget, TheProgramKeepsItsPlan) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  TestDir dir;
  std::string ids = "1";
  for (int i = 1; i < 400; ++i) ids += "," + std::to_string(i * 37 % 4000);
  for (const char* numerics : {"f32", "bf16x2"}) {
    pid_t child = start_program({"run", UNHA_SOURCE_DIR "/models/unha-tiny", "--ids", ids, "--max-tokens", "20",
                                 "--numerics", numerics, "--json"},
                                dir / "out", dir / "errors");
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(exit_code(status), 0) << read_file(dir / "errors");
    Json stats = parse_json(read_file(dir / "out"), "out")["stats"];
    EXPECT_GT(stats["planned_bytes"], 0);
    EXPECT_LE(stats["peak_rss_bytes"], stats["planned_bytes"]) << numerics;
  }
}

TEST_F(InferenceCmd, GoldenContinuationsComeOutOfRunWithAndWithoutDrafts) {
  for (const char* name : {"v3-f32", "v3-mtp"}) {
    std::string dir = std::string(UNHA_SOURCE_DIR "/tests/goldens/") + name;
    Json golden = parse_json(read_file(dir + "/golden.json"), "golden.json");
    for (const Json& greedy : golden["greedy"]) {
      std::string ids;
      for (const Json& id : greedy["prompt"]) ids += std::to_string(id.get<int64_t>()) + ",";
      ids.pop_back();
      std::vector<std::string> words = {
          "run",           dir, "--ids",        ids,
          "--temperature", "0", "--max-tokens", std::to_string(greedy["continuation"].size())};
      Json plain = json(words);
      EXPECT_EQ(plain["ids"], greedy["continuation"]) << name;
      EXPECT_EQ(plain["prompt_ids"], greedy["prompt"]);
      EXPECT_EQ(plain["text"], "");
      EXPECT_EQ(plain["finish"], "length");
      if (std::string(name) != "v3-mtp") continue;
      words.insert(words.end(), {"--speculative", "mtp"});
      Json drafted = json(words);
      EXPECT_EQ(drafted["ids"], plain["ids"]);
      EXPECT_EQ(drafted["logits_digest"], plain["logits_digest"]);
      EXPECT_GT(drafted["stats"]["drafted"].get<int64_t>(), 0);
    }
  }
}

TEST_F(InferenceCmd, RunDrawsNoPaddingAndItsSeedDecides) {
  std::vector<std::string> words = {"run", model_,    "-p", "Line 7",       "--temperature",
                                    "5",   "--top-p", "1",  "--max-tokens", "100"};
  Json first = json(words);
  for (const Json& id : first["ids"]) EXPECT_LT(id.get<int64_t>(), Tokenizer::load(model_).size());
  EXPECT_EQ(json(words)["ids"], first["ids"]);
  words.insert(words.end(), {"--seed", "1"});
  EXPECT_NE(json(words)["ids"], first["ids"]);
}

TEST_F(InferenceCmd, StopStringsEndTheReplyAndAreLeftOut) {
  std::vector<std::string> words = {"run", model_, "--raw", "-p", "Line", "--max-tokens", "60", "--seed", "4"};
  Json whole = json(words);
  auto text = whole["text"].get<std::string>();
  ASSERT_GT(text.size(), 8U);
  std::string stop = "i";
  for (char c : text) {
    if (c >= 'a' && c <= 'z') stop = std::string(1, c);
  }
  ASSERT_NE(text.find(stop), std::string::npos);
  words.insert(words.end(), {"--stop", stop});
  Json cut = json(words);
  EXPECT_EQ(cut["text"].get<std::string>(), text.substr(0, text.find(stop)));
  EXPECT_EQ(cut["finish"], "stop");
}

TEST_F(InferenceCmd, MistakesAreOneLineThatNamesThem) {
  EXPECT_EQ(cli({"run", model_, "-p", "x", "--ids", "1"}), 2);
  EXPECT_EQ(cli({"run", model_, "--ids", "1,x"}), 2);
  EXPECT_NE(error_.find("'x'"), std::string::npos) << error_;
  EXPECT_EQ(cli({"run", model_, "-p", "x", "--ctx", "100000"}), 2);
  EXPECT_EQ(cli({"run", model_, "--ids", "1,2,3,4,5", "--ctx", "4"}), 1);
  EXPECT_EQ(error_,
            "unha: error: the prompt has 5 tokens, the context holds 4; shorten the prompt or give a larger --ctx\n");
  EXPECT_EQ(cli({"run", model_, "--ids", "319,320"}), 1);
  EXPECT_NE(error_.find("320"), std::string::npos) << error_;
  EXPECT_EQ(cli({"run", std::string(UNHA_SOURCE_DIR "/tests/goldens/v3-f32"), "-p", "x"}), 1);
  EXPECT_NE(error_.find("tokenizer"), std::string::npos) << error_;
  EXPECT_EQ(cli({"run", std::string(UNHA_SOURCE_DIR "/tests/goldens/v3-f32"), "--ids", "1", "--speculative", "mtp"}),
            1);
}

TEST_F(InferenceCmd, BitsPerByteCountTheFilesBytesAndEveryTokenOnce) {
  Json one = json({"eval", "bpb", model_, dir_ / "text.txt", "--quiet"});
  int64_t bytes = static_cast<int64_t>(read_file(dir_ / "text.txt").size());
  EXPECT_EQ(one["files"][0]["bytes"], bytes);
  Json two = json({"eval", "bpb", model_, dir_ / "text.txt", dir_ / "text.txt", "--quiet", "--threads", "1"});
  EXPECT_EQ(two["files"][1], one["files"][0]);
  EXPECT_EQ(two["total"]["bytes"], 2 * bytes);
  EXPECT_EQ(two["total"]["tokens"], 2 * one["total"]["tokens"].get<int64_t>());
  EXPECT_NEAR(two["total"]["bpb"].get<double>(), one["total"]["bpb"].get<double>(), 1e-12);
  write_file_atomic(dir_ / "empty.txt", "");
  EXPECT_EQ(cli({"eval", "bpb", model_, dir_ / "empty.txt"}), 1);
}

TEST_F(InferenceCmd, InspectCountsParametersAndShowsEngram) {
  Json all = json({"inspect", model_});
  EXPECT_EQ(all["vocab_size"], 320);
  EXPECT_EQ(all["engram"]["rows_per_token"], 4);
  EXPECT_EQ(all["kv_bytes_per_token"], 4 * (4 * 20 + 32));  // four layers' latents and one convolution
  EXPECT_EQ(all["tokenizer"]["tokens"], Tokenizer::load(model_).size());
  EXPECT_EQ(all["chat_template"], "unha");
  EXPECT_GT(all["parameters_total"].get<int64_t>(), all["parameters_active"].get<int64_t>());
  EXPECT_TRUE(all["misfits"].empty());
  EXPECT_EQ(cli({"inspect", model_}), 0);
}

TEST_F(InferenceCmd, InspectShowsFormatsByGroup) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there";
  Json all = json({"inspect", shared + "/goldens/v3-mtp-fp8"});
  Json groups = Json::object();
  int64_t parameters = 0, bytes = 0;
  for (const Json& group : all["groups"]) {
    groups[group["name"].get<std::string>()] = group;
    parameters += group["parameters"].get<int64_t>();
    bytes += group["bytes"].get<int64_t>();
    int64_t by_format = 0;
    for (const auto& [name, size] : group["formats"].items()) by_format += size.get<int64_t>();
    EXPECT_EQ(by_format, group["bytes"]) << group;
  }
  EXPECT_EQ(parameters, all["parameters_total"]);
  int64_t unused = all["unused_tensors"].size();
  EXPECT_GT(unused, 0);  // the module's copies of embedding and head
  EXPECT_LT(bytes, all["bytes"].get<int64_t>());
  for (const char* name :
       {"embedding", "norms", "attention", "router", "experts", "shared experts", "dense mlp", "head", "mtp"}) {
    EXPECT_TRUE(groups.contains(name)) << name;
  }
  EXPECT_EQ(groups["experts"]["tensors"], 3 * 6);
  EXPECT_EQ(groups["experts"]["formats"].size(), 1U);
  EXPECT_TRUE(groups["experts"]["formats"].contains("F8_E4M3"));
  EXPECT_TRUE(groups["embedding"]["formats"].contains("BF16"));
  EXPECT_TRUE(groups["mtp"]["formats"].contains("F8_E4M3"));
}

TEST_F(InferenceCmd, InspectListsAllThatDoesNotFit) {
  Json config = parse_json(read_file(model_ + "/config.json"), "config.json");
  config["moe_intermediate_size"] = 25;
  write_file_atomic(model_ + "/config.json", config.dump());
  EXPECT_EQ(cli({"inspect", model_, "--json"}), 1);
  EXPECT_NE(error_.find("81 tensors do not fit"), std::string::npos) << error_;
  Json all = parse_json(out_, "output");
  EXPECT_EQ(all["misfits"].size(), 3U * 9 * 3);  // more than an error lists
  EXPECT_EQ(cli({"inspect", model_}), 1);
  EXPECT_NE(out_.find("does not fit       model.layers.1.mlp.experts.0.down_proj.weight: expected [32, 25], found [32, "
                      "24] in model.safetensors"),
            std::string::npos)
      << out_;
  EXPECT_EQ(cli({"run", model_, "--ids", "1"}), 1);
  EXPECT_NE(error_.find("81 of "), std::string::npos) << error_;
}

class ChatTest : public InferenceCmd {
 protected:
  void SetUp() override {
    InferenceCmd::SetUp();
    EngineOptions options;
    options.threads = 1;
    options.context = 128;
    engine_ = Engine::open(model_, options);
    args_.max_tokens = 20;
    chat_ = std::make_unique<ChatSession>(*engine_, args_, [&](const std::string& text) { said_ += text + "\n"; });
  }
  std::unique_ptr<Engine> engine_;
  GenerateArgs args_;
  std::string said_;
  std::unique_ptr<ChatSession> chat_;
};

TEST_F(ChatTest, KeepsTurnsAndForgetsTheOldestWhenTheContextIsFull) {
  for (int i = 0; i < 12; ++i) chat_->ask("Line " + std::to_string(i), {});
  EXPECT_EQ(chat_->messages().back().role, "assistant");
  EXPECT_LT(chat_->messages().size(), 24U);
  EXPECT_EQ(chat_->messages().size() % 2, 0U);
  EXPECT_EQ(said_, "the context is full: the oldest turns are forgotten from here on\n");
}

TEST_F(ChatTest, SavedConversationsLoadAgainAndWrongOnesChangeNothing) {
  chat_->ask("Line 1", {});
  std::vector<Message> before = chat_->messages();
  EXPECT_TRUE(chat_->command("/save " + (dir_ / "chat.json")));
  EXPECT_TRUE(chat_->command("/reset"));
  EXPECT_TRUE(chat_->messages().empty());
  EXPECT_TRUE(chat_->command("/load " + (dir_ / "chat.json")));
  ASSERT_EQ(chat_->messages().size(), before.size());
  EXPECT_EQ(chat_->messages()[1].content, before[1].content);
  write_file_atomic(dir_ / "bad.json", R"({"messages": [{"role": "robot", "content": "x"}]})");
  EXPECT_THROW(chat_->command("/load " + (dir_ / "bad.json")), Error);
  EXPECT_EQ(chat_->messages().size(), before.size());
}

TEST_F(ChatTest, CommandsAreCheckedAndAnInterruptedReplyStays) {
  expect_error(ErrorCode::kUsage, "/bogus", [&] { chat_->command("/bogus"); });
  expect_error(ErrorCode::kUsage, "temperature", [&] { chat_->command("/set temperature -3"); });
  expect_error(ErrorCode::kUsage, "number", [&] { chat_->command("/set top-k many"); });
  expect_error(ErrorCode::kUsage, "hide", [&] { chat_->command("/think maybe"); });
  EXPECT_TRUE(chat_->command("/set temperature 0"));
  EXPECT_TRUE(chat_->command("/think off"));
  EXPECT_FALSE(chat_->command("/exit"));
  int steps = 0;
  GenerateOptions streams;
  streams.go_on = [&] { return ++steps < 5; };
  EXPECT_EQ(chat_->ask("Line 2", streams), Finish::kInterrupted);
  EXPECT_EQ(chat_->messages().size(), 2U);
  expect_error(ErrorCode::kInvalidArgument, "context", [&] { chat_->ask(std::string(2000, 'x'), {}); });
  EXPECT_EQ(chat_->messages().size(), 2U);
}

}  // namespace
}  // namespace unha
