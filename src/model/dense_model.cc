// SPDX-License-Identifier: Apache-2.0
#include "model/dense_model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/add.h"
#include "ops/embedding.h"
#include "ops/in_place.h"
#include "ops/recompute.h"
#include "ops/rms_norm.h"

namespace unha {

namespace {
constexpr Init kOnes{Init::Kind::kOnes, 0};
constexpr double kEmbeddingStd = 0.02, kHeadStd = 0.006;  // training.md section 5.5

// Scale of the initial values of projections that write into the residual stream.
double output_std(const DenseConfig& c) { return 0.5 / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers)); }
}  // namespace

DenseBlock::DenseBlock(ParamStore& store, const std::string& prefix, const DenseConfig& c, const RopeTable& rope,
                       int layer)
    : layer_(layer), eps_(c.rms_norm_eps) {
  auto norm = [&](const char* name) {
    return &store.add(prefix + name, {c.hidden_size}, ParamRole::kVector, kOnes).weight;
  };
  input_norm_ = norm("input_layernorm.weight");
  post_attention_norm_ = norm("post_attention_layernorm.weight");
  attention_ = std::make_unique<Gqa>(store, prefix + "self_attn.", c, rope, layer, output_std(c));
  mlp_ = std::make_unique<Mlp>(store, prefix + "mlp.", c.hidden_size, c.intermediate_size, output_std(c));
}

Tensor DenseBlock::forward(Ctx& ctx, Tensor x, const Batch& batch) const {
  Tensor a = attention_->forward(ctx, ops::rms_norm(ctx, x, *input_norm_, eps_), batch);
  ctx.observe("attn", layer_, a);
  x = ops::add(ctx, x, a);
  return ops::add(ctx, x, mlp_->forward(ctx, ops::rms_norm(ctx, x, *post_attention_norm_, eps_)));
}

DenseModel::DenseModel(const Json& json, const DenseConfig& config, std::vector<std::string> unknown_keys)
    : json_(json), config_(config), rope_(config_.rope) {
  unknown_keys_ = std::move(unknown_keys);
  const DenseConfig& c = config_;
  int64_t D = c.hidden_size, V = c.vocab_size;
  embed_ =
      &params_.add("model.embed_tokens.weight", {V, D}, ParamRole::kEmbedding, {Init::Kind::kNormal, kEmbeddingStd})
           .weight;
  norm_ = &params_.add("model.norm.weight", {D}, ParamRole::kVector, kOnes).weight;
  head_ = c.tie_word_embeddings
              ? embed_
              : &params_.add("lm_head.weight", {V, D}, ParamRole::kHead, {Init::Kind::kNormal, kHeadStd}).weight;
  if (c.rope_factors) {
    Param& factors = params_.add("rope_freqs.weight", {c.head_dim / 2}, ParamRole::kVector, kOnes);
    factors.optional = true;
    rope_factors_ = &factors.weight;
  }
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    std::string prefix = "model.layers." + std::to_string(i) + ".";
    blocks_.push_back(std::make_unique<DenseBlock>(params_, prefix, c, rope_, static_cast<int>(i)));
  }
}

void DenseModel::bound() {
  if (rope_factors_ == nullptr || rope_factors_->value.empty()) return;
  const Tensor& values = rope_factors_->value;
  config_.rope.divisors.clear();
  for (int64_t i = 0; i < values.cols(); ++i) {
    double divisor =
        values.dtype() == DType::kF64 ? values.data<double>()[i] : static_cast<double>(values.data<float>()[i]);
    if (!(divisor > 0) || !std::isfinite(divisor)) {
      throw_error(ErrorCode::kCorrupt, "rope_freqs.weight: element {}: expected a positive number, found {}", i,
                  divisor);
    }
    config_.rope.divisors.push_back(divisor);
  }
  rope_ = RopeTable(config_.rope);
}

Tensor DenseModel::trunk(Ctx& ctx, const Batch& batch) {
  for (int32_t id : batch.ids) {
    UNHA_CHECK(id >= 0 && id < config_.vocab_size, "token id {} of {}", id, config_.vocab_size);
  }
  // The table covers every position, once and for all where there are caches.
  int64_t positions = 0;
  for (const Segment& segment : batch.segments) positions = std::max(positions, segment.pos0 + segment.len);
  for (const SequenceCache* cache : batch.caches) positions = std::max(positions, cache->capacity());
  if (positions > rope_.positions()) rope_.grow(positions);

  Tensor x = ops::embedding(ctx, *embed_, batch.ids);
  ctx.observe("embed", -1, x);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const DenseBlock* block = blocks_[i].get();
    if (recompute_) {
      x = ops::recompute(ctx, x, [block, batch](Ctx& c, Tensor in) { return block->forward(c, in, batch); });
    } else {
      x = ops::in_place(ctx, x, [&] { return block->forward(ctx, x, batch); });
    }
    ctx.observe("layer", static_cast<int>(i), x);
  }
  return x;
}

Tensor DenseModel::final_norm(Ctx& ctx, Tensor h) { return ops::rms_norm(ctx, h, *norm_, config_.rms_norm_eps); }

Tensor DenseModel::mtp(Ctx&, int k, Tensor, const Batch&) { UNHA_CHECK(false, "module {} of none", k); }
Tensor DenseModel::mtp_norm(Ctx&, int k, Tensor) { UNHA_CHECK(false, "module {} of none", k); }
const Weight& DenseModel::mtp_head(int k) const { UNHA_CHECK(false, "module {} of none", k); }

CacheLayout DenseModel::cache_layout() const {
  CacheLayout layout;
  layout.kv_widths.assign(static_cast<size_t>(config_.num_hidden_layers),
                          2 * config_.num_key_value_heads * config_.head_dim);
  return layout;
}

ModelCosts DenseModel::costs(int64_t context) const {
  const DenseConfig& c = config_;
  auto D = static_cast<double>(c.hidden_size), F = static_cast<double>(c.intermediate_size);
  auto head = static_cast<double>(c.head_dim), H = static_cast<double>(c.num_attention_heads);
  auto KV = static_cast<double>(c.num_key_value_heads), L = static_cast<double>(c.num_hidden_layers);
  double layer = 2 * D * head * (H + KV) + 3 * D * F;  // weights of its products
  double mean_context = (static_cast<double>(context) + 1) / 2;
  double active = D * static_cast<double>(c.vocab_size) + L * layer;
  ModelCosts costs;
  costs.parameters_total = params_.total_parameters();
  costs.parameters_active = static_cast<int64_t>(active);
  costs.forward_flops_per_token = 2 * active + L * 4 * H * head * mean_context;
  costs.training_flops_per_token = 3 * costs.forward_flops_per_token;
  return costs;
}

}  // namespace unha
