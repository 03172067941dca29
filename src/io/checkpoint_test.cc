// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "base/json.h"
#include "base/rng.h"
#include "io/faulty_file_system.h"
#include "io/test_dir.h"

namespace unha {
namespace {

// One tensor whose elements are all `step`, and a small config.
void write_step(FileSystem& fs, const std::string& dir, int64_t step, int64_t elements = 100, int64_t keep = 2) {
  CheckpointWriter writer(fs, dir, step);
  std::vector<int64_t> data(static_cast<size_t>(elements), step);
  writer.add_safetensors("model.safetensors", {{"a", DType::kI64, {elements}, data.data(), {}}});
  writer.add("config.json", fmt::format("{{\"step\": {}}}\n", step));
  writer.commit(keep);
}

void write_step(const std::string& dir, int64_t step) {
  PosixFileSystem fs;
  write_step(fs, dir, step);
}

// Opens DIR/last, checks that it is whole, and gives its step.
int64_t check_last(const std::string& dir) {
  std::optional<LastCheckpoint> last = last_checkpoint(dir);
  if (!last) return -1;
  Checkpoint checkpoint = Checkpoint::open(dir + "/last");
  EXPECT_EQ(checkpoint.dir(), last->path);
  EXPECT_TRUE(checkpoint.has_file("checksums.json"));
  EXPECT_EQ(checkpoint.read_text("config.json"), fmt::format("{{\"step\": {}}}\n", last->step));
  const TensorInfo* info = checkpoint.find("a");
  if (info == nullptr) {
    ADD_FAILURE() << "no tensor";
    return -2;
  }
  for (int64_t i = 0; i < info->elements(); ++i) {
    int64_t value = 0;
    std::memcpy(&value, info->data + 8 * i, 8);
    EXPECT_EQ(value, last->step);
  }
  return last->step;
}

std::vector<std::string> names(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(dir)) names.push_back(item.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoint, StepsAreWrittenAndOldOnesGo) {
  TestDir tmp;
  std::string dir = tmp / "out/run";
  for (int64_t step : {10, 20, 30}) {
    write_step(dir, step);
    EXPECT_EQ(check_last(dir), step);
  }
  EXPECT_EQ(names(dir), (std::vector<std::string>{"last", "step-00000020", "step-00000030"}));
  EXPECT_EQ(std::filesystem::read_symlink(dir + "/last"), "step-00000030");
  Json sums = parse_json(read_file(dir + "/last/checksums.json"), "checksums");
  EXPECT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums["config.json"], Sha256::of(read_file(dir + "/last/config.json")));
}

TEST(Checkpoint, LaterStepsThatARunLeftBehindAreNotPruned) {
  TestDir dir;
  for (int64_t step : {10, 20, 30}) write_step(dir.path(), step);
  replace_symlink(dir / "last", "step-00000020");
  write_step(dir.path(), 25);
  EXPECT_EQ(names(dir.path()), (std::vector<std::string>{"last", "step-00000020", "step-00000025", "step-00000030"}));
  EXPECT_EQ(check_last(dir.path()), 25);
}

TEST(Checkpoint, AWriterThatIsNotCommittedLeavesNothing) {
  TestDir dir;
  write_step(dir.path(), 1);
  {
    CheckpointWriter writer(dir.path(), 2);
    writer.add("config.json", "{}");
  }
  EXPECT_EQ(names(dir.path()), (std::vector<std::string>{"last", "step-00000001"}));
}

TEST(Checkpoint, EqualContentGivesEqualBytes) {
  TestDir a;
  TestDir b;
  write_step(a.path(), 7);
  write_step(b.path(), 7);
  for (const char* name : {"model.safetensors", "config.json", "checksums.json"}) {
    EXPECT_EQ(read_file(a / "last/" + name), read_file(b / "last/" + name));
  }
}

TEST(Checkpoint, AFullDiskIsNamedAndTheLastOneStays) {
  TestDir dir;
  write_step(dir.path(), 1);
  PosixFileSystem posix;
  for (int64_t room : {0, 100, 900, 1000}) {
    FaultyFileSystem fs(posix, {.disk_bytes = room});
    expect_error(ErrorCode::kResource, "step-00000002/", [&] { write_step(fs, dir.path(), 2); });
    EXPECT_EQ(check_last(dir.path()), 1);
    EXPECT_EQ(names(dir.path()), (std::vector<std::string>{"last", "step-00000001"}));
  }
}

// How the directory stands before the write that fails.
enum class Before { kOneStep, kSameStepLeftOver, kSameStepIsLast, kStaleTemporary };

void prepare(const std::string& dir, Before before) {
  write_step(dir, 1);
  if (before == Before::kSameStepLeftOver) {
    write_step(dir, 2);
    replace_symlink(dir + "/last", "step-00000001");
  }
  if (before == Before::kSameStepIsLast) write_step(dir, 2);
  if (before == Before::kStaleTemporary) {
    PosixFileSystem fs;
    std::filesystem::create_directory(dir + "/.tmp-step-00000099");
    write_file_atomic(dir + "/.tmp-step-00000099/x", "x");
  }
}

void fail_everywhere(bool crash) {
  PosixFileSystem posix;
  for (Before before :
       {Before::kOneStep, Before::kSameStepLeftOver, Before::kSameStepIsLast, Before::kStaleTemporary}) {
    int64_t moved = 0;
    for (int64_t at = 0;; ++at) {
      ASSERT_LT(at, 200);
      TestDir dir;
      prepare(dir.path(), before);
      FaultyFileSystem fs(posix, {.fail_at = at, .crash = crash});
      bool failed = false;
      try {
        write_step(fs, dir.path(), 2, 100, 1);
      } catch (const Error&) {
        failed = true;
      }
      int64_t step = check_last(dir.path());
      EXPECT_TRUE(step == 1 || step == 2) << at;
      EXPECT_TRUE(step == 2 || before != Before::kSameStepIsLast) << at;
      moved += step == 2;
      write_step(dir.path(), 3);
      EXPECT_EQ(check_last(dir.path()), 3) << at;
      for (const std::string& name : names(dir.path())) EXPECT_NE(name.substr(0, 5), ".tmp-") << at;
      if (at >= fs.changes()) {
        EXPECT_FALSE(failed);
        break;
      }
    }
    EXPECT_GT(moved, 0);
  }
}

TEST(Checkpoint, ACrashAtAnyOperationLeavesAValidLast) { fail_everywhere(true); }
TEST(Checkpoint, AnErrorAtAnyOperationLeavesAValidLast) { fail_everywhere(false); }

TEST(Checkpoint, ContentIsSyncedBeforeItGetsItsName) {
  TestDir dir;
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {});
  write_step(fs, dir.path(), 5);
  std::set<std::string> dirty;  // written, not yet synced
  bool folder_synced = false;
  bool renamed = false;
  bool name_synced = false;
  for (const std::string& line : fs.log()) {
    size_t space = line.find(' ');
    std::string what = line.substr(0, space);
    std::string path = line.substr(space + 1);
    if (what == "write") dirty.insert(path);
    if (what == "sync") dirty.erase(path);
    if (line == "sync_dir " + dir / ".tmp-step-00000005") folder_synced = dirty.empty();
    if (line.find("rename " + dir / ".tmp-step-00000005") == 0) {
      EXPECT_TRUE(folder_synced);
      renamed = true;
    } else if (line == "sync_dir " + dir.path() && renamed) {
      name_synced = true;
    } else if (what == "rename" && line.ends_with("/last")) {
      EXPECT_TRUE(name_synced);
    }
  }
  EXPECT_TRUE(name_synced);
}

// A child writes one step after the other; it is killed at random moments, and DIR/last is whole each time.
TEST(Checkpoint, KilledAtAnyMomentLastIsWhole) {
  TestDir dir;
  Rng rng(1, Purpose::kTest, 0);
  int64_t step = 0;
  int64_t advanced = 0;
  auto start = std::chrono::steady_clock::now();
  write_step(dir.path(), 0);
  std::chrono::duration<double, std::micro> one_write = std::chrono::steady_clock::now() - start;
  for (int kill_number = 0; kill_number < 60; ++kill_number) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      PosixFileSystem fs;
      // Every third step is written twice, as by Ctrl-C right after a periodic save.
      for (int64_t next = step + 1;; ++next) {
        write_step(fs, dir.path(), next, 20'000);
        if (next % 3 == 0) write_step(fs, dir.path(), next, 20'000);
      }
    }
    ::usleep(static_cast<useconds_t>(rng.uniform() * 8 * std::min(one_write.count(), 100e3)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    int64_t found = check_last(dir.path());
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_GE(found, step);
    advanced += found > step;
    step = found;
  }
  EXPECT_GT(advanced, 0);
  write_step(dir.path(), step + 1);
  EXPECT_EQ(check_last(dir.path()), step + 1);
}

TEST(Checkpoint, ALinkThatLeadsNowhereIsNamed) {
  TestDir dir;
  EXPECT_FALSE(last_checkpoint(dir.path()).has_value());
  EXPECT_FALSE(last_checkpoint(dir / "none").has_value());
  replace_symlink(dir / "last", "step-00000009");
  expect_error(ErrorCode::kCorrupt, "step-00000009", [&] { last_checkpoint(dir.path()); });
  replace_symlink(dir / "last", "../elsewhere");
  expect_error(ErrorCode::kCorrupt, "ln -sfn", [&] { last_checkpoint(dir.path()); });
}

TEST(Checkpoint, ADamagedFileIsNamedWithBothDigests) {
  TestDir dir;
  write_step(dir.path(), 4);
  for (const char* name : {"model.safetensors", "config.json"}) {
    std::string path = dir / "last/" + name;
    std::string good = read_file(path);
    std::string bad = good;
    bad[bad.size() / 2] ^= 1;
    write_file_atomic(path, bad);
    auto load = [&] { Checkpoint::open(dir / "last").read_text("config.json"); };
    expect_error(ErrorCode::kCorrupt, name, load);
    expect_error(ErrorCode::kCorrupt, Sha256::of(good), load);
    expect_error(ErrorCode::kCorrupt, Sha256::of(bad), load);
    if (name == std::string("config.json")) {
      EXPECT_EQ(Checkpoint::open(dir / "last", false).read_text("config.json"), bad);
    }
    write_file_atomic(path, good);
  }
  write_file_atomic(dir / "last/checksums.json", R"({"config.json": "12"})");
  expect_error(ErrorCode::kCorrupt, "64 hex digits", [&] { Checkpoint::open(dir / "last"); });
  write_file_atomic(dir / "last/checksums.json", "[]");
  expect_error(ErrorCode::kCorrupt, "checksums.json", [&] { Checkpoint::open(dir / "last"); });
  EXPECT_EQ(Checkpoint::open(dir / "last", false).tensors().size(), 1u);
}

TEST(Checkpoint, ShardsAreReadThroughTheirIndex) {
  TestDir dir;
  int32_t value = 5;
  write_safetensors(dir / "m-1.safetensors", {{"a", DType::kI32, {}, &value, {}}, {"x", DType::kI32, {}, &value, {}}});
  write_safetensors(dir / "m-2.safetensors", {{"b", DType::kI32, {}, &value, {}}});
  auto index = [&](const std::string& map) {
    write_file_atomic(dir / "model.safetensors.index.json",
                      R"({"metadata":{"total_size":8},"weight_map":)" + map + "}");
  };
  index(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.tensors().size(), 2u);  // x belongs to no model
  EXPECT_EQ(checkpoint.weight_bytes(), 8);
  EXPECT_EQ(Checkpoint::open(dir / "m-1.safetensors").tensors().size(), 2u);
  EXPECT_EQ(Checkpoint::open(dir / "model.safetensors.index.json").tensors().size(), 2u);
  auto refused = [&](ErrorCode code, const std::string& part) {
    expect_error(code, part, [&] { Checkpoint::open(dir.path()); });
  };
  index(R"({"a":"m-1.safetensors","b":"m-3.safetensors","c":"m-4.safetensors"})");
  refused(ErrorCode::kNotFound, "2 of its 3 shards are not there: \"m-3.safetensors\", \"m-4.safetensors\"");
  index(R"({"a":"m-1.safetensors","c":"m-2.safetensors"})");
  refused(ErrorCode::kCorrupt, "names 1 tensors that its shards do not hold: \"c\" in \"m-2.safetensors\"");
  for (const char* name : {"../m", "/etc/passwd", "sub/m", "..", ""}) {
    index(fmt::format(R"({{"a":"{}"}})", name));
    refused(ErrorCode::kCorrupt, "leads out of the directory");
  }
  index(R"({"a":3})");
  refused(ErrorCode::kCorrupt, "tensor \"a\"");
  index("3");
  refused(ErrorCode::kCorrupt, "weight_map");
  write_file_atomic(dir / "model.safetensors.index.json", "{");
  refused(ErrorCode::kCorrupt, "index.json");
}

TEST(Checkpoint, WhatIsNoModelIsRefusedWithAHint) {
  TestDir dir;
  expect_error(ErrorCode::kNotFound, "found neither", [&] { Checkpoint::open(dir.path()); });
  expect_error(ErrorCode::kNotFound, "no such", [&] { Checkpoint::open(dir / "none"); });
  write_step(dir.path(), 1);
  expect_error(ErrorCode::kNotFound, "/last", [&] { Checkpoint::open(dir.path()); });
  write_file_atomic(dir / "text", "x");
  expect_error(ErrorCode::kInvalidArgument, "expected a model", [&] { Checkpoint::open(dir / "text"); });
  EXPECT_EQ(Checkpoint::open(dir / "last/").dir(), dir / "step-00000001");
}

// The directories with a level "container" of the goldens' manifest, and what it says of them.
TEST(Checkpoint, TheBadDirectoriesOfTheGoldensAreRefused) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no ../shared";
  std::string base = shared + "/goldens/gguf-bad/";
  Json manifest = parse_json(read_file(base + "manifest.json"), "manifest.json");
  int good = 0;
  int bad = 0;
  for (const auto& item : manifest.items()) {
    if (!std::filesystem::is_directory(base + item.key())) continue;
    bool index = item.key().find("-st-index-") != std::string::npos;
    if (item.value()["level"] != "container" && !index && !item.value()["valid"].get<bool>()) continue;
    try {
      Checkpoint checkpoint = Checkpoint::open(base + item.key());
      EXPECT_TRUE(item.value()["valid"].get<bool>()) << item.key() << ": " << item.value()["what"];
      EXPECT_FALSE(checkpoint.tensors().empty());
      ++good;
    } catch (const Error& error) {
      EXPECT_FALSE(item.value()["valid"].get<bool>()) << item.key() << ": " << error.message();
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kNotFound) << item.key();
      EXPECT_EQ(error.message().find('\n'), std::string::npos);
      ++bad;
    }
  }
  EXPECT_GT(good, 8);
  EXPECT_GT(bad, 40);
}

}  // namespace
}  // namespace unha
