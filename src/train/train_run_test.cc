// SPDX-License-Identifier: Apache-2.0
// Whole runs of the smoke recipe: the committed digests, stopping and resuming, what a damaged folder gets.
#include "train/train_run.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/sha256.h"
#include "io/checkpoint.h"
#include "io/faulty_file_system.h"
#include "io/test_dir.h"
#include "model/generations.h"

namespace unha {

namespace {

const std::string kSmoke = std::string(UNHA_SOURCE_DIR "/recipes/smoke/");

struct RunSetup {
  int threads = 2;
  Isa isa = best_isa();
  Numerics numerics = Numerics::kBF16x2;
  int64_t stop_after = 0;
  bool resume = false;
  std::vector<std::string> set = {};
  std::function<bool()> stop = {};
};

RunResult run(const std::string& out, const RunSetup& s, FileSystem* fs = nullptr) {
  TrainConfig config = load_train_config(kSmoke + "train.json", s.set);
  RunOptions options;
  options.out = out;
  options.stop_after = s.stop_after;
  options.resume = s.resume;
  options.isa = s.isa;
  options.numerics = s.numerics;
  Threads threads(s.threads);
  PosixFileSystem posix;
  RunEvents events;
  events.stop = s.stop;
  return run_training(config, options, events, threads, fs != nullptr ? *fs : posix);
}

std::string digest(const std::string& out) { return Sha256::of(read_file(out + "/last/checksums.json")); }

std::string expected(Numerics numerics, const std::string& when) {
  Json all = parse_json(read_file(kSmoke + "digests.json"), "digests.json");
  return all[std::string(numerics_name(numerics))][when].get<std::string>();
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.message() + " " + e.hint();
  }
  return "no error";
}

const std::vector<std::string> kQuick = {"heldout=[]", "save_every=2"};

}  // namespace

TEST(SmokeRecipe, GivesTheCommittedCheckpoint) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    TestDir dir;
    RunSetup s;
    s.numerics = numerics;
    RunResult result = run(dir.path() + "/r", s);
    EXPECT_TRUE(result.finished);
    EXPECT_EQ(digest(dir.path() + "/r"), expected(numerics, "final")) << numerics_name(numerics);
  }
}

TEST(SmokeRecipe, GivesItsFirstStepsOnEveryTierWithAnyThreads) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (Isa isa : available_isas()) {
      for (int threads : isa == best_isa() ? std::vector{1, 2} : std::vector{1}) {
        TestDir dir;
        RunSetup s{threads, isa, numerics, 3};
        run(dir.path() + "/r", s);
        EXPECT_EQ(digest(dir.path() + "/r"), expected(numerics, "step 3")) << numerics_name(numerics) << isa_name(isa);
      }
    }
  }
}

TEST(TrainRun, StoppedAndResumedEqualsUninterrupted) {
  TestDir dir;
  RunSetup whole;
  whole.set = kQuick;
  whole.stop_after = 9;
  run(dir.path() + "/a", whole);
  RunSetup part = whole;
  part.resume = true;
  for (int64_t step : {2, 3, 7, 9}) {
    part.stop_after = step;
    part.threads = step % 2 == 0 ? 1 : 2;
    RunResult result = run(dir.path() + "/b", part);
    EXPECT_EQ(result.steps_done, step);
    EXPECT_FALSE(result.finished);
  }
  EXPECT_EQ(digest(dir.path() + "/a"), digest(dir.path() + "/b"));
  // A signal in place of --stop-after.
  RunSetup signal = whole;
  int left = 4;
  signal.stop = [&left] { return --left == 0; };
  EXPECT_TRUE(run(dir.path() + "/c", signal).stopped);
  signal.stop = nullptr;
  signal.resume = true;
  run(dir.path() + "/c", signal);
  EXPECT_EQ(digest(dir.path() + "/a"), digest(dir.path() + "/c"));
}

TEST(TrainRun, LogIsCutBackToTheCheckpoint) {
  TestDir dir;
  RunSetup s;
  s.set = {"heldout=[]", "save_every=4"};
  s.stop_after = 4;
  run(dir.path() + "/a", s);
  std::string log = read_file(dir.path() + "/a/log.jsonl");
  write_file_atomic(dir.path() + "/a/log.jsonl", log + "{\"step\":5,\"loss\":1}\n{\"step\":6,\"los");
  s.resume = true;
  s.stop_after = 6;
  run(dir.path() + "/a", s);
  log = read_file(dir.path() + "/a/log.jsonl");
  int64_t last = 0;
  for (size_t begin = 0, end; (end = log.find('\n', begin)) != std::string::npos; begin = end + 1) {
    Json line = parse_json(log.substr(begin, end - begin), "log");
    if (line.contains("event")) continue;
    EXPECT_EQ(line["step"], ++last);
  }
  EXPECT_EQ(last, 6);
}

TEST(TrainRun, RefusesAFullFolderAndOtherSettings) {
  TestDir dir;
  RunSetup s;
  s.set = kQuick;
  s.stop_after = 2;
  run(dir.path() + "/a", s);
  EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find("--resume"), std::string::npos);
  s.resume = true;
  s.set.push_back("optimizer.lr=1e-3");
  EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find("optimizer.lr"), std::string::npos);
  s.set.back() = "seed=9";
  EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find("seed"), std::string::npos);
  s.set.pop_back();
  s.numerics = Numerics::kF32;
  EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find("numerics"), std::string::npos);
  s.numerics = Numerics::kBF16x2;
  s.stop_after = 121;
  EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find("--stop-after"), std::string::npos);
}

TEST(TrainRun, DamagedCheckpointsAreNamed) {
  TestDir dir;
  RunSetup s;
  s.set = kQuick;
  s.stop_after = 2;
  run(dir.path() + "/a", s);
  s.resume = true;
  s.stop_after = 3;
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "config.json"}) {
    std::string path = dir.path() + "/a/last/" + name;
    std::string good = read_file(path), bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 4);
    write_file_atomic(path, bad);
    EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find(name), std::string::npos) << name;
    write_file_atomic(path, good.substr(0, good.size() / 2));
    EXPECT_NE(message([&] { run(dir.path() + "/a", s); }).find(name), std::string::npos) << name;
    write_file_atomic(path, good);
  }
  EXPECT_EQ(run(dir.path() + "/a", s).steps_done, 3);
}

TEST(TrainRun, AFullDiskLosesNoCheckpoint) {
  TestDir dir;
  RunSetup s;
  s.set = kQuick;
  s.stop_after = 2;
  run(dir.path() + "/a", s);
  std::string before = digest(dir.path() + "/a");
  PosixFileSystem posix;
  s.resume = true;
  s.stop_after = 4;
  for (int64_t bytes : {int64_t{100}, int64_t{200000}, int64_t{1000000}, int64_t{3000000}}) {
    Faults faults;
    faults.disk_bytes = bytes;
    FaultyFileSystem full(posix, faults);
    EXPECT_NE(message([&] { run(dir.path() + "/a", s, &full); }), "no error") << bytes;
    EXPECT_EQ(digest(dir.path() + "/a"), before) << bytes;
  }
  run(dir.path() + "/a", s);
  RunSetup whole;
  whole.set = kQuick;
  whole.stop_after = 4;
  run(dir.path() + "/b", whole);
  EXPECT_EQ(digest(dir.path() + "/a"), digest(dir.path() + "/b"));
}

TEST(TrainRun, WhatItIsGivenMustFit) {
  TestDir dir;
  write_file_atomic(dir.path() + "/empty.txt", "");
  RunSetup s;
  s.set = {"data=" + dir.path() + "/empty.txt"};
  EXPECT_NE(message([&] { run(dir.path() + "/r", s); }).find("empty"), std::string::npos);
  s.set = {"data=" + dir.path() + "/absent"};
  EXPECT_NE(message([&] { run(dir.path() + "/r", s); }).find("absent"), std::string::npos);
  s.set = {"model.vocab_size=300"};
  EXPECT_NE(message([&] { run(dir.path() + "/r", s); }).find("vocab_size"), std::string::npos);
  s.set = {"sequence_length=512"};
  EXPECT_NE(message([&] { run(dir.path() + "/r", s); }).find("sequence_length"), std::string::npos);
  s.set = {"model.hiden_size=64"};
  EXPECT_NE(message([&] { run(dir.path() + "/r", s); }).find("hiden_size"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/r"));
}

TEST(TrainRun, FineTunesOnChatsAndSavesAModelThatLoads) {
  TestDir dir;
  RunSetup s;
  s.set = kQuick;
  s.stop_after = 2;
  run(dir.path() + "/base", s);
  std::string chats;
  for (int i = 0; i < 40; ++i) {
    chats += R"({"messages":[{"role":"user","content":"Where is the boat?"},)"
             R"({"role":"assistant","content":"It is at the mill."}]})"
             "\n";
  }
  write_file_atomic(dir.path() + "/chats.jsonl", chats);
  RunSetup sft;
  sft.set = {"objective=sft",
             "chats=" + dir.path() + "/chats.jsonl",
             "init=" + dir.path() + "/base/last",
             "steps=30",
             "optimizer.warmup_steps=2",
             "heldout=[]"};
  TrainConfig config = [&] {
    Json json = parse_json(read_file(kSmoke + "train.json"), "train.json");
    for (const char* key : {"model", "data", "tokenizer"}) json.erase(key);
    for (const std::string& text : sft.set) apply_override(json, text);
    return parse_train_config(json, "sft", kSmoke);
  }();
  RunOptions options;
  options.out = dir.path() + "/sft";
  options.numerics = Numerics::kBF16x2;
  options.isa = best_isa();
  Threads threads(2);
  PosixFileSystem fs;
  double first = 0, last = 0;
  RunEvents events;
  events.progress = [&](const RunProgress& p) { (p.stats.step == 1 ? first : last) = p.stats.loss; };
  EXPECT_TRUE(run_training(config, options, events, threads, fs).finished);
  EXPECT_LT(last, first / 2);
  LoadedModel loaded = load_model(dir.path() + "/sft/last", std::nullopt);
  EXPECT_EQ(loaded.numerics, Numerics::kBF16x2);
  std::string tokenizer_config = read_file(dir.path() + "/sft/last/tokenizer_config.json");
  EXPECT_NE(tokenizer_config.find("chat_template"), std::string::npos);
}

}  // namespace unha
