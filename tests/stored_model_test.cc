// SPDX-License-Identifier: Apache-2.0
// A model on weights as they are stored gives the bytes of the same model widened to f32; and what memory it is said to
// need, with and without --mmap.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <filesystem>

#include "engine/generate.h"
#include "io/test_dir.h"
#include "model/tensor_groups.h"
#include "tiny_model.h"

namespace unha {
namespace {

// Writes the model at `from` with every weight widened to f32.
void write_widened(const std::string& from, const std::string& to) {
  auto source = open_source(from);
  std::deque<std::vector<float>> values;
  std::vector<TensorSource> tensors;
  for (const SourceTensor* tensor : source->tensors()) {
    const TensorInfo* info = source->checkpoint()->find(tensor->name);
    if (!tensor->problem.empty()) {
      tensors.push_back({info->name, info->dtype, info->shape, info->data, {}});
      continue;
    }
    const StoredMatrix& m = tensor->matrix;
    auto& wide = values.emplace_back(static_cast<size_t>(m.rows * m.cols));
    for (int64_t r = 0; r < m.rows; ++r) m.widen(r, 0, m.cols, wide.data() + r * m.cols);
    tensors.push_back({tensor->name, DType::kF32, tensor->shape, wide.data(), {}});
  }
  write_file_atomic(to + "/config.json", source->read_text("config.json"));
  write_safetensors(to + "/model.safetensors", tensors);
}

std::string digest(const std::string& path, Numerics numerics, int threads, int64_t chunk) {
  EngineOptions options;
  options.threads = threads;
  options.isa = best_isa();
  options.numerics = numerics;
  options.prefill_chunk = chunk;
  auto engine = Engine::open(path, options);
  bool speculate = engine->model().mtp_depth() > 0 && chunk > 1;
  Session session(*engine, 200, speculate);
  GenerateOptions how;
  how.max_tokens = 12;
  how.digest = true;
  how.speculate = speculate;
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 70; ++i) prompt.push_back((i * i * 7 + i * 13 + 5) % 101);
  return generate(*engine, session, prompt, how).logits_digest;
}

void expect_the_bytes_of_the_widened(const std::string& path) {
  TestDir wide;
  write_widened(path, wide.path());
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    std::string expected = digest(wide.path(), numerics, 2, 64);
    EXPECT_EQ(digest(path, numerics, 1, 64), expected) << path << " " << numerics_name(numerics);
    EXPECT_EQ(digest(path, numerics, 2, 7), expected) << path << " " << numerics_name(numerics);
    EXPECT_EQ(digest(path, numerics, 3, 1), expected) << path << " " << numerics_name(numerics);
  }
}

TEST(StoredModel, OfAnyFloatTypeGivesTheBytesOfTheWidened) {
  for (DType stored : {DType::kBF16, DType::kF64}) {
    TestDir dir;
    write_tiny_model(dir.path(), 101, stored);
    expect_the_bytes_of_the_widened(dir.path());
  }
}

TEST(StoredModel, OfFp8GivesTheBytesOfTheWidened) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there";
  for (const char* name : {"v3-fp8", "v31-fp8", "v3-mtp-fp8"}) {
    expect_the_bytes_of_the_widened(shared + "/goldens/" + name);
  }
}

MemoryPlan plan_of(const std::string& path, Numerics numerics) {
  auto source = open_source(path);
  auto model = build_model(parse_json(source->read_text("config.json"), "config.json"), "config.json");
  std::vector<std::string> misfits;
  std::vector<Binding> bindings = model->params().match(*source, &misfits);
  EXPECT_TRUE(misfits.empty());
  return plan_memory(*model, *source, bindings, {numerics, 256, 64, 1});
}

TEST(MemoryPlan, CountsWhatIsMappedOwnedAndPacked) {
  TestDir f32, bf16, f64;
  write_tiny_model(f32.path());
  write_tiny_model(bf16.path(), 101, DType::kBF16);
  write_tiny_model(f64.path(), 101, DType::kF64);
  LoadedModel model = load_model(f32.path(), Numerics::kF32);
  int64_t all = 0, operands = 0, latent = 0, linear = 0;
  for (const Param* param : model.model->params().by_name()) {
    bool matrix = param->role == ParamRole::kMatrix || param->role == ParamRole::kHead;
    all += param->size();
    latent += param->always_packed ? param->size() : 0;
    linear += matrix ? param->size() : 0;
    operands += matrix || param->role == ParamRole::kEmbedding || param->role == ParamRole::kTable ? param->size() : 0;
  }
  ASSERT_EQ(latent, 4 * 2 * 16 * 16);
  // f32 in f32: everything in place, panels of every matrix.
  MemoryPlan plan = plan_of(f32.path(), Numerics::kF32);
  EXPECT_EQ(plan.mapped, 4 * all);
  EXPECT_EQ(plan.owned, 0);
  EXPECT_EQ(plan.packed, 4 * linear);
  EXPECT_EQ(plan.for_now, 4 * linear);
  EXPECT_EQ(plan.needed(false) - plan.needed(true), 4 * (all - linear));
  EXPECT_EQ(plan.needed(true), plan.packed + plan.cache + plan.step + plan.program);
  // bf16 in bf16x2: the same, at half the size; norms and routers are copied.
  plan = plan_of(bf16.path(), Numerics::kBF16x2);
  EXPECT_EQ(plan.mapped, 2 * operands);
  EXPECT_EQ(plan.owned, 4 * (all - operands));
  EXPECT_EQ(plan.packed, 2 * linear);
  // bf16 in f32, and f64 in either: only the latent weights have panels.
  plan = plan_of(bf16.path(), Numerics::kF32);
  EXPECT_EQ(plan.mapped, 2 * operands);
  EXPECT_EQ(plan.packed, 4 * latent);
  EXPECT_EQ(plan.for_now, 2 * latent);
  plan = plan_of(f64.path(), Numerics::kBF16x2);
  EXPECT_EQ(plan.mapped, 8 * operands);
  EXPECT_EQ(plan.packed, 2 * latent);
}

// The most that a step takes of the arena is within the plan, and the plan is no wild guess.
void expect_steps_within_plan(const std::string& path, Numerics numerics) {
  EngineOptions options;
  options.threads = 2;
  options.isa = best_isa();
  options.numerics = numerics;
  options.prefill_chunk = 64;
  options.context = 256;
  auto engine = Engine::open(path, options);
  Session session(*engine, 256, engine->model().mtp_depth() > 0);
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 200; ++i) {
    prompt.push_back(static_cast<int32_t>((i * 37 + i * i % 29) % engine->model().vocab_size()));
  }
  session.prefill(prompt);
  int32_t ids[2] = {1, 2};
  if (engine->model().mtp_depth() > 0) session.draft(ids[0]);
  session.decode(ids);
  auto peak = static_cast<int64_t>(engine->ctx().arena.peak_bytes());
  EXPECT_LE(peak, engine->plan().step) << path;
  EXPECT_LE(engine->plan().step, 8 * peak + (4 << 20)) << path;
}

TEST(MemoryPlan, CoversEveryStep) {
  TestDir tiny;
  write_tiny_model(tiny.path());
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    expect_steps_within_plan(tiny.path(), numerics);
    std::string shared = shared_dir();
    if (shared.empty()) continue;
    for (const auto& entry : std::filesystem::directory_iterator(shared + "/goldens")) {
      std::string name = entry.path().filename();
      bool model = std::filesystem::exists(entry.path() / "config.json") || name.starts_with("gguf-");
      if (!model || !std::filesystem::exists(entry.path() / "golden.json")) continue;
      if (name.starts_with("v4") || name == "gguf-blocks") continue;  // no generation of this program yet, no model
      expect_steps_within_plan(entry.path(), numerics);
    }
  }
  if (shared_dir().empty()) GTEST_SKIP() << "../shared is not there: its models were not tried";
}

// A token reads all but the experts that are not chosen and the embedding, of which it reads a row.
TEST(DecodeBytes, AreThoseOfTheFormsThatAreRead) {
  TestDir dir;
  write_tiny_model(dir.path());
  LoadedModel loaded = load_model(dir.path(), Numerics::kF32);
  const Model& model = *loaded.model;
  double expected = static_cast<double>(model.costs(1).engram_bytes_per_token);
  double share = model.config()["num_experts_per_tok"].get<double>() / model.config()["n_routed_experts"].get<double>();
  int64_t layers = model.config()["num_hidden_layers"].get<int64_t>();
  for (const Param* param : model.params().by_name()) {
    if (layer_of(param->name) >= layers || param->role == ParamRole::kTable) continue;
    bool expert = param->name.find(".experts.") != std::string::npos;
    double part = expert ? share : param->role == ParamRole::kEmbedding ? 1.0 / 101 : 1;
    expected += 4 * part * static_cast<double>(param->size());
  }
  EXPECT_DOUBLE_EQ(decode_bytes(model, DType::kF32, 0), expected);
  double key = static_cast<double>(model.cache_layout().bytes_per_token(DType::kF32));
  EXPECT_DOUBLE_EQ(decode_bytes(model, DType::kF32, 10), expected + 10 * key);
}

// FP8 is read as it is stored, a byte and its share of a scale for each weight that is used.
TEST(DecodeBytes, OfFp8CountBytesAndScales) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there";
  LoadedModel loaded = load_model(shared + "/goldens/v3-fp8", Numerics::kF32);
  const Model& model = *loaded.model;
  double bytes = decode_bytes(model, DType::kF32, 0);
  auto active = static_cast<double>(model.costs(1).parameters_active);
  EXPECT_GT(bytes, active);
  EXPECT_LT(bytes, 2.5 * active);  // head, norms, router and the latent panels are wider
}

TEST(MemoryPlan, WhatDoesNotFitIsRefusedWithNumbersAndMmapMakesItFit) {
  TestDir dir;
  write_tiny_model(dir.path(), 101, DType::kF64);
  MemoryPlan plan = plan_of(dir.path(), Numerics::kF32);
  EngineOptions options;
  options.threads = 1;
  options.context = 256;
  options.prefill_chunk = 64;
  options.numerics = Numerics::kF32;
  options.memory_limit = plan.needed(false);
  EXPECT_NE(Engine::open(dir.path(), options), nullptr);
  options.memory_limit = plan.needed(false) - 1;
  expect_error(ErrorCode::kResource, "weights, ", [&] { Engine::open(dir.path(), options); });
  expect_error(ErrorCode::kResource, "MiB are available", [&] { Engine::open(dir.path(), options); });
  expect_error(ErrorCode::kResource, "--mmap", [&] { Engine::open(dir.path(), options); });
  options.allow_mmap = true;
  EXPECT_NE(Engine::open(dir.path(), options), nullptr);
  options.memory_limit = plan.needed(true) - 1;
  expect_error(ErrorCode::kResource, "smaller --ctx", [&] { Engine::open(dir.path(), options); });
  // What does not fit the config is said first.
  options.memory_limit = 1;
  Json config = tiny_config();
  config["vocab_size"] = 102;
  write_file_atomic(dir / "config.json", config.dump());
  expect_error(ErrorCode::kCorrupt, "lm_head.weight", [&] { Engine::open(dir.path(), options); });
}

}  // namespace
}  // namespace unha
