// SPDX-License-Identifier: Apache-2.0
// The golden cases of the DeepSeek generations and of GGUF, in tests/goldens and beside the repository: in class f32
// logits, per-layer states, router and index choices, MTP rows and greedy continuations within the tolerances of their
// README; in every class the same bytes for any chunking and number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/json.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "model/generations.h"
#include "model/gguf_source.h"
#include "ops/linear.h"
#include "text/test_shared.h"

namespace unha {
namespace {

namespace fs = std::filesystem;

// name -> folder; a case that stands in both places is taken once.
std::map<std::string, std::string> golden_cases() {
  std::map<std::string, std::string> cases;
  for (const fs::path& place : {fs::path(UNHA_SOURCE_DIR) / "tests/goldens", shared_folder() / "goldens"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(place, error)) {
      fs::path config = entry.path() / "config.json";
      if (!fs::exists(entry.path() / "golden.json")) continue;
      if (is_gguf_path(entry.path().string())) {
        cases.try_emplace(entry.path().filename().string(), entry.path().string());
      }
      if (!fs::exists(config)) continue;
      Json json = parse_json(read_file(config.string()), config.string());
      auto type = json.value("model_type", std::string());
      bool known = type == "deepseek_v2" || type == "deepseek_v3" || type == "deepseek_v32";
      if (known) cases.try_emplace(entry.path().filename().string(), entry.path().string());
    }
  }
  return cases;
}

// Keeps a copy of everything the model shows.
class Recorder : public Observer {
 public:
  struct Seen {
    int64_t cols = 0;
    std::vector<double> values;
  };
  void observe(const char* name, int layer, const Tensor& value) override {
    std::string key = name;
    if (layer >= 0) {  // "router.ids" of layer 2 is "router.2.ids"
      size_t dot = key.find('.');
      std::string number = "." + std::to_string(layer);
      key = dot == std::string::npos ? key + number : key.substr(0, dot) + number + key.substr(dot);
    }
    Seen& out = seen[key];
    out = {value.cols(), {}};
    for (int64_t r = 0; r < value.rows(); ++r) {
      for (int64_t c = 0; c < value.cols(); ++c) {
        out.values.push_back(value.dtype() == DType::kI32 ? static_cast<double>(value.row<int32_t>(r)[c])
                                                          : static_cast<double>(value.row<float>(r)[c]));
      }
    }
  }
  std::map<std::string, Seen> seen;
};

double tolerance(const std::string& name) {
  if (name.starts_with("layer.") || name.ends_with(".hidden")) return 5e-4;
  if (name.ends_with(".ids")) return 0;
  return name.starts_with("router.") ? 1e-4 : 2e-4;
}

double stored_value(const TensorInfo& info, int64_t i) {
  float real;
  int32_t integer;
  std::memcpy(&real, info.data + i * 4, 4);
  std::memcpy(&integer, info.data + i * 4, 4);
  return info.dtype == DType::kI32 ? integer : static_cast<double>(real);
}

// The largest difference; columns beyond the stored ones have to be the padding of ids.
double worst_difference(const Recorder::Seen& seen, const TensorInfo& info) {
  int64_t stored_cols = info.shape.back();
  double worst = 0;
  for (size_t i = 0; i < seen.values.size(); ++i) {
    int64_t row = static_cast<int64_t>(i) / seen.cols, col = static_cast<int64_t>(i) % seen.cols;
    double want = col < stored_cols ? stored_value(info, row * stored_cols + col) : -1;
    double difference = std::fabs(seen.values[i] - want);
    if (!(difference <= worst)) worst = difference;  // NaN too
  }
  return worst;
}

class Golden : public testing::TestWithParam<std::pair<const std::string, std::string>> {
 protected:
  void load(Numerics numerics) {
    const std::string& dir = GetParam().second;
    numerics_ = numerics;
    loaded_ = load_model(dir, numerics);
    golden_ = parse_json(read_file(dir + "/golden.json"), "golden.json");
  }
  Model& model() { return *loaded_.model; }

  std::vector<float> logits_of(const std::vector<int32_t>& ids, Recorder* recorder, int threads = 2) {
    Threads pool(threads);
    Arena arena;
    Ctx ctx = make_ctx(arena, pool, numerics_, best_isa());
    ctx.observer = recorder;
    Segment segment{0, static_cast<int64_t>(ids.size()), 0};
    Tensor h = model().trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
    Tensor n = model().final_norm(ctx, h);
    Tensor logits = ops::linear(ctx, n, model().head());
    if (recorder != nullptr) {
      recorder->observe("norm", -1, n);
      recorder->observe("logits", -1, logits);
      if (model().mtp_depth() > 0 && ids.size() > 1) run_mtp(ctx, h, ids, recorder);
    }
    return {logits.data<float>(), logits.data<float>() + logits.size()};
  }

  void run_mtp(Ctx& ctx, Tensor h, const std::vector<int32_t>& ids, Recorder* recorder) {
    auto rows = static_cast<int64_t>(ids.size()) - 1;
    Segment segment{0, rows, 0};
    Tensor y = model().mtp(ctx, 0, h.slice_rows(0, rows), Batch{std::span(ids).subspan(1), {&segment, 1}, {}, nullptr});
    recorder->observe("mtp.logits", 0, ops::linear(ctx, model().mtp_norm(ctx, 0, y), model().mtp_head(0)));
  }

  // With a cache, `chunk` tokens at a time.
  std::vector<float> logits_in_chunks(const std::vector<int32_t>& ids, int64_t chunk, int threads) {
    Threads pool(threads);
    Arena arena;
    Ctx ctx = make_ctx(arena, pool, numerics_, best_isa());
    auto n = static_cast<int64_t>(ids.size());
    SequenceCache cache(model().cache_layout(), ctx.operand(), n);
    SequenceCache* caches[] = {&cache};
    std::vector<float> all;
    for (int64_t begin = 0; begin < n; begin += chunk) {
      arena.rewind();
      Segment segment{0, std::min(chunk, n - begin), begin};
      auto part = std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(segment.len));
      Tensor h = model().trunk(ctx, Batch{part, {&segment, 1}, caches, nullptr});
      Tensor logits = ops::linear(ctx, model().final_norm(ctx, h), model().head());
      all.insert(all.end(), logits.data<float>(), logits.data<float>() + logits.size());
      cache.set_length(begin + segment.len);
    }
    return all;
  }

  Numerics numerics_ = Numerics::kF32;
  LoadedModel loaded_;
  Json golden_;
};

TEST_P(Golden, StoredTensorsAreReproduced) {
  load(Numerics::kF32);
  SafetensorsFile tensors = SafetensorsFile::open(GetParam().second + "/golden.safetensors");
  int64_t compared = 0;
  for (const Json& sequence : golden_["sequences"]) {
    std::string prefix = sequence["name"].get<std::string>() + ".";
    Recorder recorder;
    logits_of(sequence["input_ids"].get<std::vector<int32_t>>(), &recorder);
    for (const auto& [name, info] : tensors.tensors()) {
      if (!name.starts_with(prefix)) continue;
      std::string key = name.substr(prefix.size());
      auto it = recorder.seen.find(key);
      ASSERT_NE(it, recorder.seen.end()) << name << " is not observed";
      int64_t rows = static_cast<int64_t>(it->second.values.size()) / it->second.cols;
      ASSERT_EQ(rows * info.shape.back(), info.elements()) << name;
      ASSERT_TRUE(it->second.cols == info.shape.back() || name.ends_with(".ids")) << name;
      EXPECT_LE(worst_difference(it->second, info), tolerance(key)) << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10);
}

TEST_P(Golden, GreedyContinuationsAreExact) {
  load(Numerics::kF32);
  for (const Json& greedy : golden_["greedy"]) {
    auto ids = greedy["prompt"].get<std::vector<int32_t>>();
    for (int32_t expected : greedy["continuation"].get<std::vector<int32_t>>()) {
      std::vector<float> logits = logits_of(ids, nullptr);
      auto row = logits.end() - model().vocab_size();
      ASSERT_EQ(static_cast<int32_t>(std::max_element(row, logits.end()) - row), expected) << "after " << ids.size();
      ids.push_back(expected);
    }
  }
}

TEST_P(Golden, AnyChunksAndThreadsGiveTheSameBytes) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    load(numerics);
    auto ids = golden_["sequences"][0]["input_ids"].get<std::vector<int32_t>>();
    std::vector<float> whole = logits_of(ids, nullptr, 2);
    auto same = [&](const std::vector<float>& other) {
      return whole.size() == other.size() && std::memcmp(whole.data(), other.data(), whole.size() * 4) == 0;
    };
    EXPECT_TRUE(same(logits_of(ids, nullptr, 1))) << numerics_name(numerics) << ", one thread";
    for (int64_t chunk : {int64_t{1}, int64_t{7}, static_cast<int64_t>(ids.size())}) {
      for (int threads : {1, 2}) {
        EXPECT_TRUE(same(logits_in_chunks(ids, chunk, threads)))
            << numerics_name(numerics) << ", chunks of " << chunk << ", " << threads << " threads";
      }
    }
  }
}

std::string test_name(const testing::TestParamInfo<std::pair<const std::string, std::string>>& test) {
  std::string name = test.param.first;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(golden_cases()), test_name);

TEST(GoldenCases, ThoseBesideTheRepositoryAreRun) {
  if (!fs::exists(shared_folder() / "goldens")) GTEST_SKIP() << "no " << shared_folder() / "goldens";
  for (const char* name :
       {"v2-lite", "v2-full", "v3-edge", "v3-yarn-clamp", "v3-fp8", "v31-fp8", "v3-mtp-fp8", "v32", "v32-small-keys"}) {
    EXPECT_EQ(golden_cases().count(name), 1U) << name;
  }
}

}  // namespace
}  // namespace unha
