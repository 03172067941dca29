// SPDX-License-Identifier: Apache-2.0
// The shared malformed GGUF files and valid near misses (goldens/gguf-bad), opened, built and bound as any model: a bad
// one ends in an Error that names the file, a valid one gives the logits of the unchanged base.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "io/file.h"
#include "model/generations.h"
#include "ops/linear.h"
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

}  // namespace
}  // namespace unha
