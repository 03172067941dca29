// SPDX-License-Identifier: Apache-2.0
#include "model/moe.h"

#include <cmath>

#include "ops/linear.h"
#include "ops/moe_route.h"
#include "ops/swiglu.h"

namespace unha {

namespace {
constexpr double kRouterStd = 0.006;  // training.md section 5.5

const Weight* projection(ParamStore& store, const std::string& name, int64_t out, int64_t in, double scale) {
  Init init{Init::Kind::kNormal, scale / std::sqrt(static_cast<double>(in))};
  return &store.add(name + ".weight", {out, in}, ParamRole::kMatrix, init).weight;
}
}  // namespace

Mlp::Mlp(ParamStore& store, const std::string& prefix, int64_t hidden, int64_t width, double output_std)
    : gate_(projection(store, prefix + "gate_proj", width, hidden, 0.5)),
      up_(projection(store, prefix + "up_proj", width, hidden, 0.5)),
      down_(projection(store, prefix + "down_proj", hidden, width, output_std)) {}

Tensor Mlp::forward(Ctx& ctx, Tensor x) const {
  Tensor a = ops::swiglu(ctx, ops::linear(ctx, x, *gate_), ops::linear(ctx, x, *up_));  // [N, F]
  return ops::linear(ctx, a, *down_);
}

Moe::Moe(ParamStore& store, const std::string& prefix, const DeepseekConfig& c, int layer, double output_std)
    : layer_(layer), route_(c.route) {
  int64_t D = c.hidden_size, E = c.n_routed_experts;
  gate_ = &store.add(prefix + "gate.weight", {E, D}, ParamRole::kRouter, {Init::Kind::kNormal, kRouterStd}).weight;
  if (route_.topk == ops::TopK::kNoAuxTc) {
    bias_ = &store.add(prefix + "gate.e_score_correction_bias", {E}, ParamRole::kRouterBias, {}).weight;
  }
  for (int64_t e = 0; e < E; ++e) {
    Mlp expert(store, prefix + "experts." + std::to_string(e) + ".", D, c.moe_intermediate_size, output_std);
    experts_.push_back(expert.weights());
  }
  if (c.n_shared_experts > 0) {
    Mlp shared(store, prefix + "shared_experts.", D, c.n_shared_experts * c.moe_intermediate_size, output_std);
    shared_ = shared.weights();
    has_shared_ = true;
  }
}

Tensor Moe::forward(Ctx& ctx, Tensor x, const Batch& batch) const {
  ops::Routing routing = ops::moe_route(ctx, x, *gate_, bias_, route_);
  ctx.observe("router.ids", layer_, routing.ids);
  ctx.observe("router.weights", layer_, routing.weights);
  if (batch.routes != nullptr) batch.routes->routed(ctx, layer_, routing, batch.segments);
  return ops::moe_experts(ctx, x, routing, experts_, has_shared_ ? &shared_ : nullptr);
}

}  // namespace unha
