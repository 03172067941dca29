// SPDX-License-Identifier: Apache-2.0
// A real model, SmolLM2-135M-Instruct in GGUF, which ../shared/models/fetch brings: in class f32 it follows the
// reference's greedy continuations, four chats in one batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "base/json.h"
#include "engine/session.h"
#include "io/file.h"
#include "text/test_smollm.h"

namespace unha {
namespace {

int32_t best(const Tensor& logits) {
  const float* row = logits.row<float>(logits.rows() - 1);
  return static_cast<int32_t>(std::max_element(row, row + logits.cols()) - row);
}

TEST(SmolLm, FollowsTheReferencesGreedyContinuations) {
  std::filesystem::path reference = shared_folder() / "models/smollm2.json";
  if (!std::filesystem::exists(reference)) GTEST_SKIP() << reference << " is not there (UNHA_SHARED names its parent)";
  std::string path = fetched_smollm();
  if (path.empty()) GTEST_SKIP() << "models/fetch cannot get the file (no network?)";
  EngineOptions options;
  options.threads = 2;
  options.isa = best_isa();
  options.numerics = Numerics::kF32;
  options.context = 256;
  auto engine = Engine::open(path, options);

  Json golden = parse_json(read_file(reference), "smollm2.json")["greedy"];
  ASSERT_EQ(golden.size(), 4u);
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<int32_t> next;
  std::vector<std::vector<int32_t>> expected;
  for (const Json& row : golden) {
    sessions.push_back(std::make_unique<Session>(*engine, engine->context()));
    next.push_back(best(sessions.back()->prefill(row["prompt"].get<std::vector<int32_t>>())));
    expected.push_back(row["continuation"].get<std::vector<int32_t>>());
  }
  for (size_t step = 0; step < 64; ++step) {
    std::vector<StepItem> items;
    for (size_t i = 0; i < sessions.size(); ++i) {
      ASSERT_EQ(next[i], expected[i][step]) << "chat " << i << ", token " << step;
      items.push_back({sessions[i].get(), std::span(next).subspan(i, 1), 1, {}, {}});
    }
    engine->begin();
    engine->step(items);
    for (size_t i = 0; i < sessions.size(); ++i) next[i] = best(items[i].logits);
  }
}

}  // namespace
}  // namespace unha
