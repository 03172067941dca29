// SPDX-License-Identifier: Apache-2.0
// `unha train` killed with SIGKILL at random moments, its writes included: DIR/last always leads to a complete
// checkpoint, at most the steps since it are lost, and the run that survives it all equals one that was left alone.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "io/checkpoint.h"
#include "io/test_dir.h"
#include "program.h"

namespace unha {

namespace {

pid_t start(const std::vector<std::string>& args) { return start_program(args, "/dev/null", "/dev/null"); }

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return exit_code(status);
}

std::vector<std::string> command(const std::string& out, const std::string& steps) {
  return {"train",        UNHA_SOURCE_DIR "/recipes/smoke/train.json",
          "--out",        out,
          "--stop-after", steps,
          "--set",        "save_every=1",
          "--set",        "eval_every=0",
          "--set",        "heldout=[]",
          "--resume"};
}

}  // namespace

TEST(TrainKill, SigkillAtAnyMomentLosesNoCheckpoint) {
  TestDir dir;
  const std::string whole = dir / "whole", broken = dir / "broken";
  ASSERT_EQ(wait_for(start(command(whole, "40"))), 0);
  int64_t reached = 0;
  int kills = 0;
  for (int i = 0; i < 400 && reached < 40; ++i) {
    pid_t child = start(command(broken, "40"));
    Rng rng(11, Purpose::kTest, static_cast<uint64_t>(i));
    std::this_thread::sleep_for(std::chrono::milliseconds(rng.between(30, 900)));
    ::kill(child, SIGKILL);
    int code = wait_for(child);
    ASSERT_TRUE(code == 0 || code == 128 + SIGKILL) << code;
    kills += code == 0 ? 0 : 1;
    auto last = last_checkpoint(broken);
    if (!last) continue;
    EXPECT_GE(last->step, reached);
    reached = last->step;
    Checkpoint checkpoint = Checkpoint::open(last->path);  // checks every digest of the weights
    checkpoint.read_text("config.json");
    checkpoint.open_safetensors("optimizer.safetensors");
  }
  EXPECT_EQ(reached, 40);
  EXPECT_GT(kills, 5);
  EXPECT_EQ(read_file(whole + "/last/checksums.json"), read_file(broken + "/last/checksums.json"));
}

TEST(TrainKill, SigintAndSigtermSaveAndExitAsTheyShould) {
  TestDir dir;
  for (int signal : {SIGINT, SIGTERM}) {
    std::string out = dir / std::to_string(signal);
    std::vector<std::string> args = command(out, "120");
    args[7] = "save_every=0";
    pid_t child = start(args);
    for (int i = 0; i < 600; ++i) {  // until it steps
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      std::error_code error;
      if (std::filesystem::exists(out + "/log.jsonl", error) &&
          read_file(out + "/log.jsonl").find("\"loss\"") != std::string::npos) {
        break;
      }
    }
    ::kill(child, signal);
    EXPECT_EQ(wait_for(child), 128 + signal);
    auto last = last_checkpoint(out);
    ASSERT_TRUE(last.has_value());
    EXPECT_GT(last->step, 0);
  }
}

}  // namespace unha
