// SPDX-License-Identifier: Apache-2.0
#include "model/gqa.h"

#include <cmath>

#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace unha {

namespace {
// The same elements, in rows of `cols`.
Tensor regrouped(const Tensor& x, int64_t cols) {
  UNHA_CHECK(x.dense() && x.size() % cols == 0, "rows of {} from [.., {}]", cols, x.cols());
  return {x.bytes(), x.dtype(), x.size() / cols, cols, cols, x.slot()};
}
}  // namespace

Gqa::Gqa(ParamStore& store, const std::string& prefix, const DenseConfig& c, const RopeTable& rope, int64_t cache_layer,
         double output_std)
    : rope_(rope), cache_layer_(cache_layer), eps_(c.rms_norm_eps) {
  int64_t D = c.hidden_size, H = c.num_attention_heads, KV = c.num_key_value_heads, head = c.head_dim;
  shape_ = {H, KV, head, 1 / std::sqrt(static_cast<double>(head))};
  auto matrix = [&](const char* name, int64_t out, int64_t in, double scale) {
    Init init{Init::Kind::kNormal, scale / std::sqrt(static_cast<double>(in))};
    return &store.add(prefix + name, {out, in}, ParamRole::kMatrix, init).weight;
  };
  auto vector = [&](const char* name, int64_t size, Init::Kind kind) {
    return &store.add(prefix + name, {size}, ParamRole::kVector, {kind}).weight;
  };
  wq_ = matrix("q_proj.weight", H * head, D, 0.5);
  wk_ = matrix("k_proj.weight", KV * head, D, 0.5);
  wv_ = matrix("v_proj.weight", KV * head, D, 0.5);
  wo_ = matrix("o_proj.weight", D, H * head, output_std);
  if (c.qkv_bias) {
    wq_bias_ = vector("q_proj.bias", H * head, Init::Kind::kZeros);
    wk_bias_ = vector("k_proj.bias", KV * head, Init::Kind::kZeros);
    wv_bias_ = vector("v_proj.bias", KV * head, Init::Kind::kZeros);
  }
  if (c.o_bias) wo_bias_ = vector("o_proj.bias", D, Init::Kind::kZeros);
  if (c.qk_norm) {
    q_norm_ = vector("q_norm.weight", head, Init::Kind::kOnes);
    k_norm_ = vector("k_norm.weight", head, Init::Kind::kOnes);
  }
}

Tensor Gqa::heads(Ctx& ctx, Tensor x, const Weight& w, const Weight* bias, const Weight* norm, int64_t heads,
                  const Batch& batch) const {
  Tensor y = ops::linear(ctx, x, w, bias);  // [N, heads head_dim]
  if (norm != nullptr) {
    y = regrouped(ops::rms_norm(ctx, regrouped(y, shape_.head_dim), *norm, eps_), heads * shape_.head_dim);
  }
  return ops::rope(ctx, y, heads, shape_.head_dim, 0, batch.segments, rope_);
}

Tensor Gqa::forward(Ctx& ctx, Tensor x, const Batch& batch) const {
  Tensor q = heads(ctx, x, *wq_, wq_bias_, q_norm_, shape_.heads, batch);     // [N, H head_dim]
  Tensor k = heads(ctx, x, *wk_, wk_bias_, k_norm_, shape_.kv_heads, batch);  // [N, KV head_dim]
  Tensor v = ops::linear(ctx, x, *wv_, wv_bias_);                             // [N, KV head_dim]
  auto* caches = ctx.arena.allocate<CacheRows>(static_cast<int64_t>(batch.caches.size()));
  for (size_t s = 0; s < batch.caches.size(); ++s) caches[s] = batch.caches[s]->keys_values(cache_layer_);
  Tensor o = ops::gqa_attend(ctx, q, k, v, shape_, batch.segments, {caches, batch.caches.size()});
  return ops::linear(ctx, o, *wo_, wo_bias_);
}

}  // namespace unha
