// SPDX-License-Identifier: Apache-2.0
// What the generations V2, V3 and V3.2 share: embedding, blocks of latent attention and dense or routed feed-forward,
// multi-token prediction, and, as an addition of ours to V3, Engram in front of chosen blocks (deepseek-v3.md section
// 1, engram.md). How they differ is all in the config (v2.cc, v3.cc, v32.cc).
#pragma once

#include <memory>
#include <vector>

#include "model/engram.h"
#include "model/mla.h"
#include "model/model.h"
#include "model/moe.h"

namespace unha {

class DeepseekBlock {
 public:
  // index_rope: null without an indexer.
  DeepseekBlock(ParamStore& store, const std::string& prefix, const DeepseekConfig& config, const RopeTable& rope,
                const RopeTable* index_rope, int layer, bool moe);
  Tensor forward(Ctx& ctx, Tensor x,
                 const Batch& batch) const;  // [N, D] -> [N, D]

 private:
  int layer_;
  double eps_;
  const Weight* input_norm_;
  const Weight* post_attention_norm_;
  std::unique_ptr<Mla> attention_;
  std::unique_ptr<Mlp> mlp_;
  std::unique_ptr<Moe> moe_;
};

class DeepseekModel : public Model {
 public:
  // json: config.json as read, of which `config` is the meaning; unknown: its keys that were passed over.
  DeepseekModel(const Json& json, std::string what, DeepseekConfig config, std::vector<std::string> unknown);

  Tensor trunk(Ctx& ctx, const Batch& batch) override;
  Tensor final_norm(Ctx& ctx, Tensor h) override;
  const Weight& head() const override { return *head_; }
  int mtp_depth() const override { return static_cast<int>(mtp_.size()); }
  Tensor mtp(Ctx& ctx, int k, Tensor h, const Batch& batch) override;
  Tensor mtp_norm(Ctx& ctx, int k, Tensor h) override;
  const Weight& mtp_head(int k) const override { return *mtp_[static_cast<size_t>(k)].head; }
  void bound() override {
    if (engram_) engram_->loaded(what_);
  }
  CacheLayout cache_layout() const override;
  ModelCosts costs(int64_t length) const override;
  const Json& config() const override { return json_; }
  int64_t vocab_size() const override { return config_.vocab_size; }
  int64_t hidden_size() const override { return config_.hidden_size; }
  int64_t max_positions() const override { return config_.max_position_embeddings; }
  int64_t bos_token_id() const override { return config_.bos_token_id; }
  int64_t eos_token_id() const override { return config_.eos_token_id; }
  EngramMemory* engram() override { return engram_.get(); }

 private:
  struct MtpModule {
    const Weight* enorm;
    const Weight* hnorm;
    const Weight* eh_proj;  // [D, 2 D]
    const Weight* embed;    // the checkpoint's copy where it has one, else the main one
    const Weight* norm;     // shared_head.norm
    const Weight* head;
    std::unique_ptr<DeepseekBlock> block;
  };
  // Checks the ids and makes the RoPE tables cover every position, once and for all where there are caches.
  void prepare(const Batch& batch);

  Json json_;
  std::string what_;
  DeepseekConfig config_;
  RopeTable rope_;
  std::unique_ptr<RopeTable> index_rope_;
  const Weight* embed_;  // [V, D]
  const Weight* norm_;
  const Weight* head_;  // [V, D]
  std::vector<std::unique_ptr<DeepseekBlock>> blocks_;
  std::vector<MtpModule> mtp_;
  std::unique_ptr<EngramMemory> engram_;
};

}  // namespace unha
