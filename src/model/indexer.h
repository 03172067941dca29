// SPDX-License-Identifier: Apache-2.0
// The lightning indexer of one layer (deepseek-v3.md section 6): which keys each token attends to.
#pragma once

#include <string>

#include "model/batch.h"
#include "model/deepseek_config.h"
#include "model/params.h"
#include "ops/index_select.h"
#include "ops/rope.h"

namespace unha {

// MLA's rotation of the indexer: the same angles, but on half-split pairs.
RopeConfig index_rope(const RopeConfig& mla);

class Indexer {
 public:
  // prefix: "model.layers.3.self_attn.indexer."; rope: a table of index_rope(); layer: of the sequence cache and the
  // observer.
  Indexer(ParamStore& store, const std::string& prefix, const DeepseekConfig& config, const RopeTable& rope, int layer);

  // x [N, D], the input of the attention; c_q [N, q_lora_rank], its query latent after the norm -> ids [N, topk].
  // Writes the layer's index keys. Error(kUnsupported) if a tape records: the choice has no gradient, and its own loss
  // (section 6.3) is not there.
  Tensor select(Ctx& ctx, Tensor x, Tensor c_q, const Batch& batch) const;

 private:
  const RopeTable& rope_;
  int layer_;
  IndexShape shape_;
  const Weight* wq_b_;          // [HI dI, q_lora_rank]
  const Weight* wk_;            // [dI, D]
  const Weight* k_norm_;        // [dI]
  const Weight* k_norm_bias_;   // [dI]
  const Weight* weights_proj_;  // [HI, D], in real in every class
};

}  // namespace unha
