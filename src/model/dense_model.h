// SPDX-License-Identifier: Apache-2.0
// The dense generations (deepseek-v3.md section 12): embedding, pre-norm blocks of grouped-query attention and SwiGLU,
// final norm, head. Llama, Qwen2 and Qwen3 differ in their configs alone (llama.cc, qwen2.cc, qwen3.cc).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/gqa.h"
#include "model/model.h"
#include "model/moe.h"

namespace unha {

class DenseBlock {
 public:
  DenseBlock(ParamStore& store, const std::string& prefix, const DenseConfig& config, const RopeTable& rope, int layer);
  Tensor forward(Ctx& ctx, Tensor x, const Batch& batch) const;  // [N, D] -> [N, D]

 private:
  int layer_;
  double eps_;
  const Weight* input_norm_;
  const Weight* post_attention_norm_;
  std::unique_ptr<Gqa> attention_;
  std::unique_ptr<Mlp> mlp_;
};

class DenseModel : public Model {
 public:
  DenseModel(const Json& json, const DenseConfig& config, std::vector<std::string> unknown_keys);

  Tensor trunk(Ctx& ctx, const Batch& batch) override;
  Tensor final_norm(Ctx& ctx, Tensor h) override;
  const Weight& head() const override { return *head_; }
  int mtp_depth() const override { return 0; }
  Tensor mtp(Ctx& ctx, int k, Tensor h, const Batch& batch) override;
  Tensor mtp_norm(Ctx& ctx, int k, Tensor h) override;
  const Weight& mtp_head(int k) const override;
  void bound() override;
  CacheLayout cache_layout() const override;
  ModelCosts costs(int64_t context) const override;
  const Json& config() const override { return json_; }
  int64_t vocab_size() const override { return config_.vocab_size; }
  int64_t hidden_size() const override { return config_.hidden_size; }
  int64_t max_positions() const override { return config_.max_position_embeddings; }
  int64_t bos_token_id() const override { return config_.bos_token_id; }
  int64_t eos_token_id() const override { return config_.eos_token_ids.empty() ? -1 : config_.eos_token_ids.front(); }
  std::vector<int64_t> eos_token_ids() const override { return config_.eos_token_ids; }
  const DenseConfig& dense() const { return config_; }

 private:
  Json json_;
  DenseConfig config_;
  RopeTable rope_;
  const Weight* embed_;  // [V, D]
  const Weight* norm_;
  const Weight* head_;                    // [V, D]
  const Weight* rope_factors_ = nullptr;  // [1, head_dim / 2] divisors of RoPE's frequencies, if the file has them
  std::vector<std::unique_ptr<DenseBlock>> blocks_;
};

// One per generation, in its file; as build_model of generations.h.
std::unique_ptr<Model> build_llama(const Json& config, const std::string& what, bool allow_unknown);
std::unique_ptr<Model> build_qwen2(const Json& config, const std::string& what, bool allow_unknown);
std::unique_ptr<Model> build_qwen3(const Json& config, const std::string& what, bool allow_unknown);

}  // namespace unha
