// SPDX-License-Identifier: Apache-2.0
#include "model/deepseek.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ops/add.h"
#include "ops/embedding.h"
#include "ops/in_place.h"
#include "ops/linear.h"
#include "ops/recompute.h"
#include "ops/rms_norm.h"

namespace unha {

namespace {
constexpr Init kOnes{Init::Kind::kOnes, 0};
constexpr double kEmbeddingStd = 0.02,
                 kHeadStd = 0.006;  // training.md section 5.5

// Scale of the initial values of projections that write into the residual
// stream: 0.5 / sqrt(2 L).
double output_std(const DeepseekConfig& c) {
  return 0.5 / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers + c.num_nextn_predict_layers));
}
}  // namespace

DeepseekBlock::DeepseekBlock(ParamStore& store, const std::string& prefix, const DeepseekConfig& c,
                             const RopeTable& rope, const RopeTable* index_rope, int layer, bool moe)
    : layer_(layer), eps_(c.rms_norm_eps) {
  auto norm = [&](const char* name) {
    return &store.add(prefix + name, {c.hidden_size}, ParamRole::kVector, kOnes).weight;
  };
  input_norm_ = norm("input_layernorm.weight");
  post_attention_norm_ = norm("post_attention_layernorm.weight");
  attention_ = std::make_unique<Mla>(store, prefix + "self_attn.", c, rope, index_rope, layer, output_std(c));
  if (moe) {
    moe_ = std::make_unique<Moe>(store, prefix + "mlp.", c, layer, output_std(c));
  } else {
    mlp_ = std::make_unique<Mlp>(store, prefix + "mlp.", c.hidden_size, c.intermediate_size, output_std(c));
  }
}

Tensor DeepseekBlock::forward(Ctx& ctx, Tensor x, const Batch& batch) const {
  Tensor a = attention_->forward(ctx, ops::rms_norm(ctx, x, *input_norm_, eps_), batch);
  ctx.observe("attn", layer_, a);
  x = ops::add(ctx, x, a);
  Tensor b = ops::rms_norm(ctx, x, *post_attention_norm_, eps_);
  Tensor f = moe_ ? moe_->forward(ctx, b, batch) : mlp_->forward(ctx, b);
  return ops::add(ctx, x, f);
}

DeepseekModel::DeepseekModel(const Json& json, std::string what, DeepseekConfig config,
                             std::vector<std::string> unknown)
    : json_(json), what_(std::move(what)), config_(std::move(config)), rope_(config_.rope) {
  unknown_keys_ = std::move(unknown);
  if (config_.index) index_rope_ = std::make_unique<RopeTable>(index_rope(config_.rope));
  const DeepseekConfig& c = config_;
  int64_t D = c.hidden_size, V = c.vocab_size, L = c.num_hidden_layers;
  embed_ =
      &params_.add("model.embed_tokens.weight", {V, D}, ParamRole::kEmbedding, {Init::Kind::kNormal, kEmbeddingStd})
           .weight;
  norm_ = &params_.add("model.norm.weight", {D}, ParamRole::kVector, kOnes).weight;
  head_ = c.tie_word_embeddings
              ? embed_
              : &params_.add("lm_head.weight", {V, D}, ParamRole::kHead, {Init::Kind::kNormal, kHeadStd}).weight;
  for (int64_t i = 0; i < L; ++i) {
    std::string prefix = "model.layers." + std::to_string(i) + ".";
    blocks_.push_back(std::make_unique<DeepseekBlock>(params_, prefix, c, rope_, index_rope_.get(), static_cast<int>(i),
                                                      c.is_moe(i)));
  }
  for (int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    // Stored as layer L + k. Embedding and head are the main model's; a
    // checkpoint's physical copies are not asked for.
    std::string prefix = "model.layers." + std::to_string(L + k) + ".";
    auto norm = [&](const char* name) { return &params_.add(prefix + name, {D}, ParamRole::kVector, kOnes).weight; };
    MtpModule m{};
    m.enorm = norm("enorm.weight");
    m.hnorm = norm("hnorm.weight");
    m.eh_proj = &params_
                     .add(prefix + "eh_proj.weight", {D, 2 * D}, ParamRole::kMatrix,
                          {Init::Kind::kNormal, 0.5 / std::sqrt(2.0 * static_cast<double>(D))})
                     .weight;
    m.embed = embed_;
    m.norm = norm("shared_head.norm.weight");
    m.head = head_;
    m.block = std::make_unique<DeepseekBlock>(params_, prefix, c, rope_, index_rope_.get(), static_cast<int>(L + k),
                                              c.n_routed_experts > 0);
    mtp_.push_back(std::move(m));
  }
  if (c.engram) engram_ = std::make_unique<EngramMemory>(params_, *c.engram, V);
}

void DeepseekModel::prepare(const Batch& batch) {
  for (int32_t id : batch.ids)
    UNHA_CHECK(id >= 0 && id < config_.vocab_size, "token id {} of {}", id, config_.vocab_size);
  int64_t positions = 0;
  for (const Segment& segment : batch.segments) positions = std::max(positions, segment.pos0 + segment.len);
  for (const SequenceCache* cache : batch.caches) positions = std::max(positions, cache->capacity());
  if (positions > rope_.positions()) rope_.grow(positions);
  if (index_rope_ && positions > index_rope_->positions()) index_rope_->grow(positions);
}

Tensor DeepseekModel::trunk(Ctx& ctx, const Batch& batch) {
  prepare(batch);
  Tensor x = ops::embedding(ctx, *embed_, batch.ids);
  ctx.observe("embed", -1, x);
  EngramTokens tokens;
  if (engram_) tokens = engram_->fold(ctx, batch);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (Engram* engram = engram_ ? engram_->at(static_cast<int64_t>(i)) : nullptr) {
      x = ops::in_place(ctx, x, [&] { return ops::add(ctx, x, engram->forward(ctx, x, batch, tokens)); });
    }
    const DeepseekBlock* block = blocks_[i].get();
    if (recompute_) {
      x = ops::recompute(ctx, x, [block, batch](Ctx& c, Tensor in) { return block->forward(c, in, batch); });
    } else {
      x = ops::in_place(ctx, x, [&] { return block->forward(ctx, x, batch); });
    }
    ctx.observe("layer", static_cast<int>(i), x);
  }
  return x;
}

Tensor DeepseekModel::final_norm(Ctx& ctx, Tensor h) { return ops::rms_norm(ctx, h, *norm_, config_.rms_norm_eps); }

Tensor DeepseekModel::mtp(Ctx& ctx, int k, Tensor h, const Batch& batch) {
  prepare(batch);
  const MtpModule& m = mtp_[static_cast<size_t>(k)];
  // Embedding first, hidden second: the released weights' order.
  Tensor e = ops::rms_norm(ctx, ops::embedding(ctx, *m.embed, batch.ids), *m.enorm, config_.rms_norm_eps);
  Tensor s = ops::rms_norm(ctx, h, *m.hnorm, config_.rms_norm_eps);
  Tensor x = ops::linear(ctx, ops::concat_cols(ctx, e, s), *m.eh_proj);  // [N, D]
  x = m.block->forward(ctx, x, batch);
  ctx.observe("mtp.hidden", k, x);
  return x;
}

Tensor DeepseekModel::mtp_norm(Ctx& ctx, int k, Tensor h) {
  return ops::rms_norm(ctx, h, *mtp_[static_cast<size_t>(k)].norm, config_.rms_norm_eps);
}

CacheLayout DeepseekModel::cache_layout() const {
  CacheLayout layout;
  int64_t layers = config_.num_hidden_layers + config_.num_nextn_predict_layers;
  layout.latent_widths.assign(static_cast<size_t>(layers), config_.kv_lora_rank + config_.qk_rope_head_dim);
  if (config_.index) layout.index_widths.assign(static_cast<size_t>(layers), config_.index->head_dim);
  if (engram_) layout.conv_widths = engram_->conv_widths();
  return layout;
}

}  // namespace unha
