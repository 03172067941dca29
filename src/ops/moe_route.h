// SPDX-License-Identifier: Apache-2.0
// The router of DeepSeekMoE: which experts each token takes, and with what weights (deepseek-v3.md section 3.1). All of
// it in real, the product included: no class rounds it.
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

enum class Scoring { kSigmoid, kSoftmax };
enum class TopK {
  kGreedy,              // V2-Lite: the best scores; weights normalised or scaled, never both
  kGroupLimitedGreedy,  // V2: only within the groups of the best single scores; weights as kGreedy
  kNoAuxTc,             // V3: score + bias chooses, a group counts the sum of its best two; normalised and scaled
};

// Limits of the ops; a config beyond them is refused when it is read.
inline constexpr int64_t kMaxExpertsPerToken = 64;
inline constexpr int64_t kMaxExpertGroups = 64;

struct RouteConfig {
  int64_t n_routed_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t n_group = 1;     // contiguous groups of equal size
  int64_t topk_group = 1;  // groups that a token may use
  Scoring scoring = Scoring::kSigmoid;
  TopK topk = TopK::kNoAuxTc;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
};

struct Routing {
  Tensor ids;      // [N, K] int32, ascending in each row
  Tensor weights;  // [N, K] real, differentiable
  Tensor scores;   // [N, E] real, without bias, differentiable: for the balance loss
  Tensor counts;   // [1, E] int64: tokens of each expert
};

// x [N, D]; gate [E, D] real; bias [1, E] real or null, used by kNoAuxTc only: it moves the choice, never the weights,
// and has no gradient. Ties go to the lower id.
Routing moe_route(Ctx& ctx, Tensor x, const Weight& gate, const Weight* bias, const RouteConfig& config);

}  // namespace unha::ops
