// SPDX-License-Identifier: Apache-2.0
// The V3 model against the golden cases in tests/goldens: logits, per-layer
// states, router choices, MTP rows and greedy continuations in class f32,
// within the tolerances of tests/goldens/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/json.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "model/generations.h"
#include "ops/linear.h"

namespace unha {
namespace {

// Keeps a copy of everything the model shows.
class Recorder : public Observer {
 public:
  void observe(const char* name, int layer, const Tensor& value) override {
    std::string key = layer < 0 ? std::string(name) : std::string(name) + "." + std::to_string(layer);
    if (std::strncmp(name, "router.", 7) == 0) key = "router." + std::to_string(layer) + "." + (name + 7);
    std::vector<double>& out = seen[key];
    out.clear();
    for (int64_t r = 0; r < value.rows(); ++r) {
      for (int64_t c = 0; c < value.cols(); ++c) {
        out.push_back(value.dtype() == DType::kI32 ? static_cast<double>(value.row<int32_t>(r)[c])
                                                   : static_cast<double>(value.row<float>(r)[c]));
      }
    }
  }
  std::map<std::string, std::vector<double>> seen;
};

class GoldenV3 : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string dir = std::string(UNHA_SOURCE_DIR) + "/tests/goldens/" + GetParam();
    loaded_ = load_model(dir, Numerics::kF32);
    golden_ = parse_json(read_file(dir + "/golden.json"), "golden.json");
    tensors_ = std::make_unique<SafetensorsFile>(SafetensorsFile::open(dir + "/golden.safetensors"));
  }

  std::vector<float> logits_of(const std::vector<int32_t>& ids, Recorder* recorder) {
    Arena arena;
    Ctx ctx = make_ctx(arena, threads_, Numerics::kF32, best_isa());
    ctx.observer = recorder;
    Segment segment{0, static_cast<int64_t>(ids.size()), 0};
    Batch batch{ids, {&segment, 1}, {}, nullptr};
    Model& model = *loaded_.model;
    Tensor h = model.trunk(ctx, batch);
    Tensor n = model.final_norm(ctx, h);
    Tensor logits = ops::linear(ctx, n, model.head());
    if (recorder != nullptr) {
      recorder->observe("norm", -1, n);
      recorder->observe("logits", -1, logits);
      if (model.mtp_depth() > 0 && ids.size() > 1) run_mtp(ctx, h, ids, recorder);
    }
    const float* p = logits.data<float>();
    return {p, p + logits.size()};
  }

  void run_mtp(Ctx& ctx, Tensor h, const std::vector<int32_t>& ids, Recorder* recorder) {
    auto rows = static_cast<int64_t>(ids.size()) - 1;
    Segment segment{0, rows, 0};
    Batch batch{std::span(ids).subspan(1), {&segment, 1}, {}, nullptr};
    Tensor y = loaded_.model->mtp(ctx, 0, h.slice_rows(0, rows), batch);
    Tensor logits = ops::linear(ctx, loaded_.model->mtp_norm(ctx, 0, y), loaded_.model->mtp_head(0));
    recorder->observe("mtp.0.hidden", -1, y);
    recorder->observe("mtp.0.logits", -1, logits);
  }

  static double tolerance(const std::string& name) {
    if (name.starts_with("layer.") || name.ends_with(".hidden")) return 5e-4;
    if (name.starts_with("router.")) return name.ends_with(".ids") ? 0 : 1e-4;
    return 2e-4;
  }

  Threads threads_{2};
  LoadedModel loaded_;
  Json golden_;
  std::unique_ptr<SafetensorsFile> tensors_;
};

TEST_P(GoldenV3, StoredTensorsAreReproduced) {
  int64_t compared = 0;
  for (const Json& sequence : golden_["sequences"]) {
    std::string prefix = sequence["name"].get<std::string>() + ".";
    Recorder recorder;
    logits_of(sequence["input_ids"].get<std::vector<int32_t>>(), &recorder);
    for (const auto& [name, info] : tensors_->tensors()) {
      if (!name.starts_with(prefix)) continue;
      std::string key = name.substr(prefix.size());
      auto it = recorder.seen.find(key);
      ASSERT_NE(it, recorder.seen.end()) << name << " is not observed";
      ASSERT_EQ(static_cast<int64_t>(it->second.size()), info.elements()) << name;
      double worst = 0;
      for (int64_t i = 0; i < info.elements(); ++i) {
        float stored_real;
        int32_t stored_int;
        std::memcpy(&stored_real, info.data + i * 4, 4);
        std::memcpy(&stored_int, info.data + i * 4, 4);
        double stored = info.dtype == DType::kI32 ? stored_int : static_cast<double>(stored_real);
        worst = std::max(worst, std::fabs(it->second[static_cast<size_t>(i)] - stored));
      }
      EXPECT_LE(worst, tolerance(key)) << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10);
}

TEST_P(GoldenV3, GreedyContinuationsAreExact) {
  for (const Json& greedy : golden_["greedy"]) {
    auto ids = greedy["prompt"].get<std::vector<int32_t>>();
    auto V = static_cast<size_t>(loaded_.model->vocab_size());
    for (int32_t expected : greedy["continuation"].get<std::vector<int32_t>>()) {
      std::vector<float> logits = logits_of(ids, nullptr);
      auto row = logits.end() - static_cast<int64_t>(V);
      ASSERT_EQ(static_cast<int32_t>(std::max_element(row, logits.end()) - row), expected) << "after " << ids.size();
      ids.push_back(expected);
    }
  }
}

std::string test_name(const testing::TestParamInfo<const char*>& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenV3, testing::Values("v3-f32", "v3-bf16", "v3-mtp", "v3-noqlora"), test_name);

}  // namespace
}  // namespace unha
