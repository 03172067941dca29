// SPDX-License-Identifier: Apache-2.0
#include "model/indexer.h"

#include <cmath>

#include "base/error.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"

namespace unha {

namespace {
constexpr double kKeyEps = 1e-6;  // of the keys' LayerNorm, whatever rms_norm_eps says (deepseek-v3.md section 6.1)
Init fan_in(int64_t in) { return {Init::Kind::kNormal, 0.5 / std::sqrt(static_cast<double>(in))}; }
}  // namespace

RopeConfig index_rope(const RopeConfig& mla) {
  RopeConfig rope = mla;
  rope.pairing = Pairing::kHalfSplit;
  return rope;
}

Indexer::Indexer(ParamStore& store, const std::string& prefix, const DeepseekConfig& c, const RopeTable& rope,
                 int layer)
    : rope_(rope), layer_(layer), shape_{c.index->n_heads, c.index->head_dim, c.index->topk} {
  auto matrix = [&](const char* name, int64_t out, int64_t in, ParamRole role) {
    return &store.add(prefix + name, {out, in}, role, fan_in(in)).weight;
  };
  wq_b_ = matrix("wq_b.weight", shape_.heads * shape_.head_dim, c.q_lora_rank, ParamRole::kMatrix);
  wk_ = matrix("wk.weight", shape_.head_dim, c.hidden_size, ParamRole::kMatrix);
  k_norm_ = &store.add(prefix + "k_norm.weight", {shape_.head_dim}, ParamRole::kVector, {Init::Kind::kOnes}).weight;
  k_norm_bias_ = &store.add(prefix + "k_norm.bias", {shape_.head_dim}, ParamRole::kVector, {Init::Kind::kZeros}).weight;
  weights_proj_ = matrix("weights_proj.weight", shape_.heads, c.hidden_size, ParamRole::kRouter);
}

Tensor Indexer::select(Ctx& ctx, Tensor x, Tensor c_q, const Batch& batch) const {
  if (ctx.tape != nullptr) {
    throw Error(ErrorCode::kUnsupported, "a model with a lightning indexer (deepseek_v32) cannot be trained",
                "train a deepseek_v3 model");
  }
  Tensor q = ops::linear(ctx, c_q, *wq_b_);                                                      // [N, HI dI]
  q = ops::rope(ctx, q, shape_.heads, shape_.head_dim, 0, batch.segments, rope_);                // the first columns
  Tensor k = ops::layer_norm(ctx, ops::linear(ctx, x, *wk_), *k_norm_, *k_norm_bias_, kKeyEps);  // [N, dI]
  k = ops::rope(ctx, k, 1, shape_.head_dim, 0, batch.segments, rope_);
  Ctx real = ctx;  // a gate: its product keeps f32 operands in the bf16 classes
  if (ctx.numerics != Numerics::kF64) real.numerics = Numerics::kF32;
  Tensor w = ops::linear(real, x, *weights_proj_);  // [N, HI]
  auto* caches = ctx.arena.allocate<CacheRows>(static_cast<int64_t>(batch.caches.size()));
  for (size_t s = 0; s < batch.caches.size(); ++s) caches[s] = batch.caches[s]->index_keys(layer_);
  Tensor ids = ops::index_select(ctx, q, k, w, shape_, batch.segments, {caches, batch.caches.size()});
  ctx.observe("index.ids", layer_, ids);
  return ids;
}

}  // namespace unha
