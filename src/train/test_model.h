// SPDX-License-Identifier: Apache-2.0
// Small models and batches for tests: every feature can be switched.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "model/engram.h"
#include "model/generations.h"
#include "ops/balance.h"
#include "ops/head_loss.h"
#include "train/data_loader.h"

namespace unha {

struct TestModelOptions {
  int64_t layers = 2, hidden = 32, vocab = 61;
  bool moe = true, engram = true, mtp = true;
};

inline Json test_model_config(const TestModelOptions& o = {}) {
  Json json = {{"model_type", "deepseek_v3"},
               {"hidden_size", o.hidden},
               {"num_hidden_layers", o.layers},
               {"num_attention_heads", 2},
               {"q_lora_rank", 16},
               {"kv_lora_rank", 16},
               {"qk_nope_head_dim", 8},
               {"qk_rope_head_dim", 8},
               {"v_head_dim", 8},
               {"intermediate_size", 2 * o.hidden},
               {"vocab_size", o.vocab},
               {"max_position_embeddings", 512},
               {"bos_token_id", 0},
               {"eos_token_id", 1},
               {"num_nextn_predict_layers", o.mtp ? 1 : 0}};
  if (o.moe) {
    json["n_routed_experts"] = 8;
    json["num_experts_per_tok"] = 2;
    json["n_shared_experts"] = 1;
    json["moe_intermediate_size"] = 16;
    json["first_k_dense_replace"] = 1;
  }
  if (o.engram) {
    json["engram"] = {{"engram_vocab_size", {200, 200}},
                      {"max_ngram_size", 3},
                      {"n_embed_per_ngram", 16},
                      {"n_head_per_ngram", 2},
                      {"layer_ids", {1}},
                      {"pad_id", 2},
                      {"seed", 0},
                      {"kernel_size", 4},
                      {"hidden_size", o.hidden},
                      {"hc_mult", 1}};
  }
  return json;
}

// Allocated with gradients, Engram's folding the identity; values are still to come.
inline std::unique_ptr<Model> make_test_model(const Json& config, Numerics numerics) {
  std::unique_ptr<Model> model = build_model(config, "test");
  model->params().allocate(numerics, true);
  if (EngramMemory* engram = model->engram()) {
    std::vector<int32_t> same(static_cast<size_t>(model->vocab_size()));
    for (size_t i = 0; i < same.size(); ++i) same[i] = static_cast<int32_t>(i);
    engram->create(same);
  }
  return model;
}

// Documents of random ids, or of a pattern that can be learned.
class TestDocuments final : public Documents {
 public:
  TestDocuments(int64_t count, int64_t length, int64_t vocab, uint64_t seed = 1) {
    for (int64_t i = 0; i < count; ++i) {
      Rng rng(seed, Purpose::kTest, static_cast<uint64_t>(i));
      Document d;
      d.ids.push_back(0);
      for (int64_t t = 1; t < length; ++t) d.ids.push_back(static_cast<int32_t>(rng.between(3, vocab - 1)));
      d.learned.assign(d.ids.size(), 1);
      documents_.push_back(std::move(d));
    }
  }
  explicit TestDocuments(std::vector<Document> documents) : documents_(std::move(documents)) {}
  int64_t count() const override { return static_cast<int64_t>(documents_.size()); }
  int64_t tokens() const override { return 0; }
  double weight(int64_t) const override { return weight_; }
  std::string digest() const override { return "test"; }
  void read(int64_t i, Document& out) const override { out = documents_[static_cast<size_t>(i)]; }
  double weight_ = 1;

 private:
  std::vector<Document> documents_;
};

}  // namespace unha
