// SPDX-License-Identifier: Apache-2.0
// Generations beyond the one of parity_test.cc: V2's router, and V3.2's sparse attention with drafts, whose indexer
// keys have to be forgotten and written again. The same bytes however logits are computed.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/sha256.h"
#include "engine/generate.h"
#include "ops/linear.h"

namespace unha {
namespace {

constexpr int64_t kNew = 20;

Json small_config(const std::string& type) {
  Json c = parse_json(R"({
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "q_lora_rank": 24, "kv_lora_rank": 16,
    "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "intermediate_size": 48,
    "moe_intermediate_size": 24, "first_k_dense_replace": 1, "n_routed_experts": 8, "n_shared_experts": 2,
    "num_experts_per_tok": 2, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 1.5, "vocab_size": 101,
    "max_position_embeddings": 512, "bos_token_id": 0
  })",
                      "small model");
  c["model_type"] = type;
  if (type == "deepseek_v2") c["topk_method"] = "group_limited_greedy";
  if (type == "deepseek_v32") {
    c.update({{"num_nextn_predict_layers", 1}, {"index_n_heads", 3}, {"index_head_dim", 10}, {"index_topk", 13}});
  }
  return c;
}

std::unique_ptr<Model> small_model(const std::string& type) {
  std::unique_ptr<Model> model = build_model(small_config(type), "small model");
  model->params().allocate(Numerics::kF32, false);
  uint64_t number = 0;
  for (Param* param : model->params().by_name()) {
    Rng rng(5, Purpose::kTest, number++);
    bool matrix = param->role == ParamRole::kMatrix || param->role == ParamRole::kRouter;
    double mean = param->init.kind == Init::Kind::kOnes ? 1 : 0;
    for (int64_t i = 0; i < param->size(); ++i) {
      param->weight.value.data<float>()[i] =
          static_cast<float>(mean + (matrix ? 0.25 : 0.5) * rng.normal_at(static_cast<uint64_t>(i)));
    }
  }
  return model;
}

std::vector<int32_t> make_prompt(size_t n) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>((i * i * 7 + i * 13 + 5) % 101));
  return ids;
}

class GenerationsParity : public testing::TestWithParam<std::tuple<std::string, Numerics>> {
 protected:
  static std::unique_ptr<Engine> open(int threads, Isa isa, int64_t chunk) {
    EngineOptions options;
    options.threads = threads;
    options.isa = isa;
    options.prefill_chunk = chunk;
    auto [type, numerics] = GetParam();
    return std::make_unique<Engine>(small_model(type), numerics, options);
  }

  // Of the rows that the ids were drawn from, in one forward without caches.
  static std::string digest_at_once(const std::vector<int32_t>& prompt, const std::vector<int32_t>& ids) {
    auto engine = open(2, best_isa(), 64);
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), ids.begin(), ids.end() - 1);
    Segment segment{0, static_cast<int64_t>(all.size()), 0};
    Tensor h = engine->model().trunk(engine->ctx(), Batch{all, {&segment, 1}, {}, nullptr});
    Tensor logits = ops::linear(engine->ctx(), engine->model().final_norm(engine->ctx(), h), engine->model().head());
    Sha256 sha;
    for (auto r = static_cast<int64_t>(prompt.size()) - 1; r < logits.rows(); ++r) {
      sha.update(logits.row<float>(r), static_cast<size_t>(logits.cols()) * sizeof(float));
    }
    return sha.hex();
  }
};

TEST_P(GenerationsParity, LogitsAreTheSameBytesHoweverTheyAreComputed) {
  std::vector<int32_t> prompt = make_prompt(70);
  GenerateOptions how;
  how.max_tokens = kNew;
  how.digest = true;
  std::string expected;
  for (Isa isa : {Isa::kScalar, best_isa()}) {
    for (int threads : {1, 2}) {
      for (int64_t chunk : {1, 7, 64}) {
        auto engine = open(threads, isa, chunk);
        for (bool speculate : {false, true}) {
          if (speculate && engine->model().mtp_depth() == 0) continue;
          how.speculate = speculate;
          Session session(*engine, engine->context(), speculate);
          std::vector<int32_t> other(prompt.begin(), prompt.begin() + 30);  // a timeline that shares a beginning
          other.push_back(99);
          session.prefill(other);
          Generated out = generate(*engine, session, prompt, how);
          ASSERT_EQ(out.ids.size(), static_cast<size_t>(kNew));
          if (expected.empty()) expected = digest_at_once(prompt, out.ids);
          ASSERT_EQ(out.logits_digest, expected)
              << isa_name(isa) << ", " << threads << " threads, chunks of " << chunk << ", drafts " << speculate;
          EXPECT_EQ(out.stats.drafted > 0, speculate);
        }
      }
    }
  }
}

std::string test_name(const testing::TestParamInfo<std::tuple<std::string, Numerics>>& test) {
  return std::get<0>(test.param) + "_" + std::string(numerics_name(std::get<1>(test.param)));
}
INSTANTIATE_TEST_SUITE_P(Generations, GenerationsParity,
                         testing::Combine(testing::Values("deepseek_v2", "deepseek_v32"),
                                          testing::Values(Numerics::kF32, Numerics::kBF16x2)),
                         test_name);

TEST(SparseModel, TrainingIsRefusedByName) {
  std::unique_ptr<Model> model = small_model("deepseek_v32");
  Arena arena;
  Threads threads(1);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, Isa::kScalar);
  ctx.tape = &tape;
  std::vector<int32_t> ids = make_prompt(5);
  Segment segment{0, 5, 0};
  try {
    model->trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
    FAIL() << "recorded";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("deepseek_v32"), std::string::npos) << e.message();
  }
}

// Where every key is chosen, V3.2 is V3, byte for byte.
TEST(SparseModel, WithAllKeysChosenItIsTheDenseModel) {
  std::vector<int32_t> ids = make_prompt(90);
  auto logits = [&](const std::string& type, int64_t topk) {
    Json config = small_config("deepseek_v32");
    config["model_type"] = type;
    if (type == "deepseek_v32") {
      config["index_topk"] = topk;
    } else {
      for (const char* key : {"index_n_heads", "index_head_dim", "index_topk"}) config.erase(key);
    }
    std::unique_ptr<Model> from = small_model("deepseek_v32"), model = build_model(config, type);
    model->params().allocate(Numerics::kF32, false);
    for (Param* param : model->params().by_name()) {
      const float* values = from->params().find(param->name)->weight.value.data<float>();
      std::copy(values, values + param->size(), param->weight.value.data<float>());
    }
    Arena arena;
    Threads threads(2);
    Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
    Segment segment{0, 90, 0};
    Tensor h = model->trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
    return std::vector<float>(h.data<float>(), h.data<float>() + h.size());
  };
  std::vector<float> dense = logits("deepseek_v3", 0);
  EXPECT_EQ(logits("deepseek_v32", 90), dense);
  EXPECT_NE(logits("deepseek_v32", 89), dense);
}

}  // namespace
}  // namespace unha
