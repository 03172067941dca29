// SPDX-License-Identifier: Apache-2.0
// The shared malformed models and valid near misses (goldens/gguf-bad: GGUF files, directories of safetensors), opened,
// built and bound as any model: a bad one ends in an Error that names the file, a valid one gives the logits of the
// unchanged base. The program says so with its exit code, quickly and in little memory.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "base/json.h"
#include "io/file.h"
#include "io/test_dir.h"
#include "model/generations.h"
#include "ops/linear.h"
#include "program.h"
#include "text/test_shared.h"

namespace unha {
namespace {

std::vector<float> logits_of(Model& model) {
  Threads pool(1);
  Arena arena;
  Ctx ctx = make_ctx(arena, pool, Numerics::kF32, best_isa());
  const std::vector<int32_t> ids = {5, 80, 200, 33};
  Segment segment{0, 4, 0};
  Tensor y =
      ops::linear(ctx, model.final_norm(ctx, model.trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr})), model.head());
  return {y.data<float>(), y.data<float>() + y.size()};
}

TEST(GgufBad, EveryEntryOfTheManifest) {
  std::string folder = (shared_folder() / "goldens/gguf-bad/").string();
  if (!std::filesystem::exists(folder + "manifest.json")) GTEST_SKIP() << folder << " is absent";
  Json manifest = parse_json(read_file(folder + "manifest.json"), "manifest.json");
  std::vector<float> base = logits_of(*load_model(folder + "ok-plain.gguf", Numerics::kF32).model);
  int refused = 0, loaded = 0;
  for (const auto& [name, entry] : manifest.items()) {
    if (!name.ends_with(".gguf")) continue;
    bool valid = entry.at("valid").get<bool>();
    try {
      LoadedModel model = load_model(folder + name, Numerics::kF32);
      if (valid) {
        EXPECT_EQ(logits_of(*model.model), base) << name;
        ++loaded;
      } else {
        EXPECT_TRUE(entry.contains("lenient")) << name << " was loaded: " << entry.at("what");
      }
    } catch (const Error& error) {
      EXPECT_FALSE(valid) << error.message();
      EXPECT_NE(error.message().find(name), std::string::npos) << error.message();
      ++refused;
    }
  }
  EXPECT_GT(refused, 80);
  EXPECT_GT(loaded, 8);
}

struct Ended {
  int code = -1;
  double cpu_s = 0;
  int64_t peak_bytes = 0;
  std::string said;  // on standard error
};

Ended run_program(const std::vector<std::string>& args, const std::string& log) {
  pid_t child = start_program(args, "/dev/null", log);
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return {exit_code(status), seconds(usage.ru_utime) + seconds(usage.ru_stime),
          static_cast<int64_t>(usage.ru_maxrss) * 1024, read_file(log)};
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlower = 20;  // and larger
#else
constexpr double kSlower = 1;
#endif

// Time is that of the CPU, which a busy machine does not change.
TEST(GgufBad, TheProgramRefusesEachWithinASecondAnd100Megabytes) {
  std::string folder = (shared_folder() / "goldens/gguf-bad/").string();
  if (!std::filesystem::exists(folder + "manifest.json")) GTEST_SKIP() << folder << " is absent";
  TestDir dir;
  Json manifest = parse_json(read_file(folder + "manifest.json"), "manifest.json");
  for (const auto& [name, entry] : manifest.items()) {
    for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
             {"inspect", folder + name}, {"run", folder + name, "--max-tokens", "1", "--ids", "1,2"}}) {
      Ended end = run_program(args, dir.path() + "/log");
      bool lenient = entry.contains("lenient") && end.code == 0;
      EXPECT_EQ(end.code, entry.at("valid").get<bool>() || lenient ? 0 : 1)
          << args[0] << " " << name << ": " << end.said;
      EXPECT_TRUE(end.code == 0 || end.said.find(name) != std::string::npos) << args[0] << " " << end.said;
      EXPECT_LT(end.cpu_s, kSlower) << args[0] << " " << name;
      EXPECT_LT(static_cast<double>(end.peak_bytes), 100e6 * kSlower) << args[0] << " " << name;
    }
  }
}

}  // namespace
}  // namespace unha
