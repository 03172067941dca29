// SPDX-License-Identifier: Apache-2.0
// For tests: tiny dense models in double with random values; every switch of a dense config is on in one of them.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "model/generations.h"

namespace unha {

inline constexpr int64_t kDenseVocab = 37;
inline constexpr int kDenseVariants = 4;

inline Json dense_variant(int i) {
  Json json = {{"model_type", i < 2    ? "llama"
                              : i == 2 ? "qwen2"
                                       : "qwen3"},
               {"hidden_size", 24},
               {"num_hidden_layers", 2},
               {"intermediate_size", 40},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 2},
               {"vocab_size", kDenseVocab},
               {"head_dim", 8},
               {"max_position_embeddings", 256},
               {"rms_norm_eps", 1e-5}};
  if (i == 1) {
    json["attention_bias"] = true;
    json["rope_interleave"] = true;
    json["tie_word_embeddings"] = true;
    json["rope_theta"] = 50;
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8},
                            {"low_freq_factor", 1},
                            {"high_freq_factor", 4},
                            {"original_max_position_embeddings", 32}};
  }
  if (i == 3) {
    json["rope_theta"] = 500;
    json["rope_scaling"] = {
        {"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 64}, {"beta_fast", 8}};
  }
  return json;
}

// Allocated with gradients; `values` are normal, norms around 1.
inline std::unique_ptr<Model> make_dense(const Json& config) {
  auto model = build_model(config, "test");
  model->params().allocate(Numerics::kF64, true);
  uint64_t stream = 0;
  for (Param* p : model->params().by_name()) {
    Rng rng(5, Purpose::kTest, stream++);
    double mean = p->init.kind == Init::Kind::kOnes ? 1 : 0;
    double scale = p->shape.size() == 1 ? 0.2 : 1 / std::sqrt(static_cast<double>(p->weight.cols()));
    for (int64_t i = 0; i < p->size(); ++i) {
      p->weight.value.data<double>()[i] = mean + scale * rng.normal_at(static_cast<uint64_t>(i));
    }
    ++p->weight.version;
  }
  return model;
}

inline std::vector<int32_t> dense_ids(int64_t n) {
  std::vector<int32_t> ids;
  Rng rng(6, Purpose::kTest, 0);
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(rng.between(0, kDenseVocab - 1)));
  return ids;
}

}  // namespace unha
