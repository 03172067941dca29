// SPDX-License-Identifier: Apache-2.0
// The dense generations against the golden cases in ../shared/goldens, within the tolerances of its README: logits,
// states of every layer, greedy continuations; and the same bytes however a sequence is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/json.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "io/test_dir.h"
#include "model/generations.h"
#include "ops/linear.h"

namespace unha {
namespace {

// Keeps a copy of everything the model shows.
class Recorder : public Observer {
 public:
  void observe(const char* name, int layer, const Tensor& value) override {
    std::string key = layer < 0 ? std::string(name) : std::string(name) + "." + std::to_string(layer);
    std::vector<float>& out = seen[key];
    out.clear();
    for (int64_t r = 0; r < value.rows(); ++r) out.insert(out.end(), value.row<float>(r), value.row<float>(r + 1));
  }
  std::map<std::string, std::vector<float>> seen;
};

class DenseGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "no ../shared: its golden cases are needed";
    dir_ = shared_dir() + "/goldens/" + GetParam();
    golden_ = parse_json(read_file(dir_ + "/golden.json"), "golden.json");
  }

  // Logits of every position, [n, V]; `chunk`: tokens of a call, with a cache; 0: all at once without one.
  static std::vector<float> logits(Model& model, Numerics numerics, const std::vector<int32_t>& ids, int threads,
                                   int64_t chunk, Recorder* recorder = nullptr) {
    Threads pool(threads);
    Arena arena;
    Ctx ctx = make_ctx(arena, pool, numerics, best_isa());
    ctx.observer = recorder;
    auto n = static_cast<int64_t>(ids.size());
    SequenceCache cache(model.cache_layout(), ctx.operand(), n);
    SequenceCache* caches[] = {&cache};
    std::vector<float> out;
    for (int64_t pos = 0; pos<n; pos += chunk> 0 ? chunk : n) {
      Segment segment{0, chunk > 0 ? std::min(chunk, n - pos) : n, pos};
      std::span<const int32_t> all = ids;
      Batch batch{all.subspan(static_cast<size_t>(pos), static_cast<size_t>(segment.len)), {&segment, 1}, {}, nullptr};
      if (chunk > 0) batch.caches = caches;
      Tensor norm = model.final_norm(ctx, model.trunk(ctx, batch));
      Tensor y = ops::linear(ctx, norm, model.head());
      if (recorder != nullptr) {
        recorder->observe("norm", -1, norm);
        recorder->observe("logits", -1, y);
      }
      out.insert(out.end(), y.data<float>(), y.data<float>() + y.size());
      cache.set_length(pos + segment.len);
    }
    return out;
  }

  static std::vector<int32_t> ids_of(const Json& sequence) { return sequence["input_ids"].get<std::vector<int32_t>>(); }

  std::string dir_;
  Json golden_;
};

TEST_P(DenseGolden, StoredTensorsAreReproduced) {
  auto loaded = load_model(dir_, Numerics::kF32);
  SafetensorsFile tensors = SafetensorsFile::open(dir_ + "/golden.safetensors");
  int64_t compared = 0;
  for (const Json& sequence : golden_["sequences"]) {
    std::string prefix = sequence["name"].get<std::string>() + ".";
    Recorder recorder;
    logits(*loaded.model, Numerics::kF32, ids_of(sequence), 2, 0, &recorder);
    for (const auto& [name, info] : tensors.tensors()) {
      if (!name.starts_with(prefix)) continue;
      auto it = recorder.seen.find(name.substr(prefix.size()));
      ASSERT_NE(it, recorder.seen.end()) << name << " is not observed";
      ASSERT_EQ(static_cast<int64_t>(it->second.size()), info.elements()) << name;
      double worst = 0;
      for (int64_t i = 0; i < info.elements(); ++i) {
        float stored;
        std::memcpy(&stored, info.data + i * 4, 4);
        worst = std::max(worst, std::fabs(static_cast<double>(it->second[static_cast<size_t>(i)] - stored)));
      }
      EXPECT_LE(worst, it->first.starts_with("layer.") ? 5e-4 : 2e-4) << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 2 * (2 * 3 + 3));  // two sequences of three layers
}

TEST_P(DenseGolden, GreedyContinuationsAreExact) {
  auto loaded = load_model(dir_, Numerics::kF32);
  for (const Json& greedy : golden_["greedy"]) {
    auto ids = greedy["prompt"].get<std::vector<int32_t>>();
    for (int32_t expected : greedy["continuation"].get<std::vector<int32_t>>()) {
      std::vector<float> y = logits(*loaded.model, Numerics::kF32, ids, 2, 5);
      auto row = y.end() - loaded.model->vocab_size();
      ASSERT_EQ(static_cast<int32_t>(std::max_element(row, y.end()) - row), expected) << "after " << ids.size();
      ids.push_back(expected);
    }
  }
}

TEST_P(DenseGolden, ChunksCachesAndThreadsGiveTheSameBytes) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    auto loaded = load_model(dir_, numerics);
    auto ids = ids_of(golden_["sequences"][0]);
    auto expected = logits(*loaded.model, numerics, ids, 1, 0);
    for (int threads : {1, 2}) {
      for (int64_t chunk : {0, 1, 7, 64, 1000}) {
        auto got = logits(*loaded.model, numerics, ids, threads, chunk);
        ASSERT_EQ(got, expected) << numerics_name(numerics) << ", " << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

TEST_P(DenseGolden, Bf16StaysWithinItsNoise) {
  auto loaded = load_model(dir_, Numerics::kBF16x2);
  SafetensorsFile tensors = SafetensorsFile::open(dir_ + "/golden.safetensors");
  double difference = 0, size = 0;
  for (const Json& sequence : golden_["sequences"]) {
    auto y = logits(*loaded.model, Numerics::kBF16x2, ids_of(sequence), 2, 0);
    const TensorInfo* info = tensors.find(sequence["name"].get<std::string>() + ".logits");
    ASSERT_EQ(info->elements(), static_cast<int64_t>(y.size()));
    for (size_t i = 0; i < y.size(); ++i) {
      float stored;
      std::memcpy(&stored, info->data + i * 4, 4);
      double d = static_cast<double>(y[i]) - static_cast<double>(stored);
      difference += d * d;
      size += static_cast<double>(stored) * static_cast<double>(stored);
    }
  }
  EXPECT_LE(std::sqrt(difference / size), 2 * golden_["noise"]["logits_bf16_vs_f32"]["rel_rms"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Cases, DenseGolden, testing::Values("llama", "qwen2"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace unha
