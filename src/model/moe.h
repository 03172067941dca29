// SPDX-License-Identifier: Apache-2.0
// The two feed-forward forms: a dense SwiGLU, and DeepSeekMoE with shared and
// routed experts (deepseek-v3.md section 3).
#pragma once

#include <string>
#include <vector>

#include "model/batch.h"
#include "model/deepseek_config.h"
#include "model/params.h"
#include "ops/moe_experts.h"

namespace unha {

class Mlp {
 public:
  Mlp(ParamStore& store, const std::string& prefix, int64_t hidden, int64_t width, double output_std);
  Tensor forward(Ctx& ctx, Tensor x) const;  // [N, D] -> [N, D]
  ops::ExpertWeights weights() const { return {gate_, up_, down_}; }

 private:
  const Weight* gate_;  // [F, D]
  const Weight* up_;    // [F, D]
  const Weight* down_;  // [D, F]
};

class Moe {
 public:
  // layer: for the observer and the route sink.
  Moe(ParamStore& store, const std::string& prefix, const DeepseekConfig& config, int layer, double output_std);
  Tensor forward(Ctx& ctx, Tensor x,
                 const Batch& batch) const;  // [N, D] -> [N, D]

 private:
  int layer_;
  ops::RouteConfig route_;
  const Weight* gate_;            // [E, D]
  const Weight* bias_ = nullptr;  // [1, E] e_score_correction_bias, of noaux_tc only
  std::vector<ops::ExpertWeights> experts_;
  ops::ExpertWeights shared_{};
  bool has_shared_ = false;
};

}  // namespace unha
