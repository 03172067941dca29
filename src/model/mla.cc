// SPDX-License-Identifier: Apache-2.0
#include "model/mla.h"

#include <cmath>
#include <vector>

#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace unha {

namespace {
constexpr double kLatentEps = 1e-6;  // of both latent norms, whatever rms_norm_eps says (deepseek-v3.md
                                     // section 1)
Init fan_in(int64_t in) { return {Init::Kind::kNormal, 0.5 / std::sqrt(static_cast<double>(in))}; }
}  // namespace

Mla::Mla(ParamStore& store, const std::string& prefix, const DeepseekConfig& c, const RopeTable& rope,
         const RopeTable* index_rope, int64_t cache_layer, double output_std)
    : rope_(rope), cache_layer_(cache_layer), latent_(c.kv_lora_rank), eps_(kLatentEps) {
  int64_t D = c.hidden_size, H = c.num_attention_heads, R = c.kv_lora_rank;
  int64_t head = c.qk_nope_head_dim + c.qk_rope_head_dim;
  shape_ = {H, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim, R, softmax_scale(head, c.rope.yarn)};
  auto matrix = [&](const char* name, int64_t out, int64_t in) {
    return &store.add(prefix + name, {out, in}, ParamRole::kMatrix, fan_in(in)).weight;
  };
  auto vector = [&](const char* name, int64_t size, Init::Kind kind) {
    return &store.add(prefix + name, {size}, ParamRole::kVector, {kind}).weight;
  };
  if (c.q_lora_rank == 0) {
    wq_ = matrix("q_proj.weight", H * head, D);
  } else {
    wq_a_ = matrix("q_a_proj.weight", c.q_lora_rank, D);
    if (c.attention_bias) wq_a_bias_ = vector("q_a_proj.bias", c.q_lora_rank, Init::Kind::kZeros);
    q_a_norm_ = vector("q_a_layernorm.weight", c.q_lora_rank, Init::Kind::kOnes);
    wq_b_ = matrix("q_b_proj.weight", H * head, c.q_lora_rank);
  }
  wkv_a_ = matrix("kv_a_proj_with_mqa.weight", R + c.qk_rope_head_dim, D);
  if (c.attention_bias) wkv_a_bias_ = vector("kv_a_proj_with_mqa.bias", R + c.qk_rope_head_dim, Init::Kind::kZeros);
  kv_a_norm_ = vector("kv_a_layernorm.weight", R, Init::Kind::kOnes);
  Param& kv_b = store.add(prefix + "kv_b_proj.weight", {H * (c.qk_nope_head_dim + c.v_head_dim), R}, ParamRole::kMatrix,
                          fan_in(R));
  kv_b.always_packed = true;
  wkv_b_ = &kv_b.weight;
  wk_b_ = &store.add_part(kv_b, prefix + "k_b_proj.weight", {H, R, c.qk_nope_head_dim}).weight;
  wv_b_ = &store.add_part(kv_b, prefix + "v_b_proj.weight", {H, c.v_head_dim, R}).weight;
  wo_ = &store
             .add(prefix + "o_proj.weight", {D, H * c.v_head_dim}, ParamRole::kMatrix,
                  {Init::Kind::kNormal, output_std / std::sqrt(static_cast<double>(H * c.v_head_dim))})
             .weight;
  if (c.attention_bias) wo_bias_ = vector("o_proj.bias", D, Init::Kind::kZeros);
  if (c.index) {
    indexer_ = std::make_unique<Indexer>(store, prefix + "indexer.", c, *index_rope, static_cast<int>(cache_layer));
  }
}

Tensor Mla::forward(Ctx& ctx, Tensor x, const Batch& batch) const {
  int64_t head = shape_.nope + shape_.rope;
  Tensor c_q;  // [N, q_lora_rank]
  if (wq_ == nullptr) c_q = ops::rms_norm(ctx, ops::linear(ctx, x, *wq_a_, wq_a_bias_), *q_a_norm_, eps_);
  Tensor q = wq_ != nullptr ? ops::linear(ctx, x, *wq_) : ops::linear(ctx, c_q, *wq_b_);
  q = ops::rope(ctx, q, shape_.heads, head, shape_.nope, batch.segments, rope_);  // [N, H (nope + rope)]
  Tensor kv = ops::linear(ctx, x, *wkv_a_, wkv_a_bias_);                          // [N, R + rope]
  Tensor c_kv = ops::rms_norm(ctx, kv.slice_cols(0, latent_), *kv_a_norm_,
                              eps_);  // [N, R]
  Tensor k_rope = ops::rope(ctx, kv.slice_cols(latent_, shape_.rope), 1, shape_.rope, 0, batch.segments, rope_);
  Tensor chosen;  // [N, index_topk], or empty: all keys
  if (indexer_) chosen = indexer_->select(ctx, x, c_q, batch);
  auto* caches = ctx.arena.allocate<CacheRows>(static_cast<int64_t>(batch.caches.size()));
  for (size_t s = 0; s < batch.caches.size(); ++s) caches[s] = batch.caches[s]->latents(cache_layer_);
  MlaWeights kv_b = wkv_b_->empty() ? MlaWeights(*wk_b_, *wv_b_) : MlaWeights(*wkv_b_);
  Tensor o = ops::mla_attend(ctx, q, c_kv, k_rope, kv_b, shape_, batch.segments, {caches, batch.caches.size()}, chosen);
  return ops::linear(ctx, o, *wo_, wo_bias_);
}

}  // namespace unha
