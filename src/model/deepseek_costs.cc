// SPDX-License-Identifier: Apache-2.0
// Parameters and FLOPs of a DeepSeek model, by the formulas of training.md section 5.2.
#include "model/deepseek.h"

namespace unha {

namespace {

struct LayerCost {
  double parameters = 0;  // active
  double flops = 0;       // forward, per token
};

LayerCost attention_cost(const DeepseekConfig& c, double mean_context) {
  auto D = static_cast<double>(c.hidden_size), H = static_cast<double>(c.num_attention_heads);
  auto R = static_cast<double>(c.kv_lora_rank), rope = static_cast<double>(c.qk_rope_head_dim);
  auto nope = static_cast<double>(c.qk_nope_head_dim), v = static_cast<double>(c.v_head_dim);
  auto q_rank = static_cast<double>(c.q_lora_rank);
  double query = c.q_lora_rank == 0 ? D * H * (nope + rope) : q_rank * (D + H * (nope + rope));
  double parameters = query + D * (R + rope) + R * H * (nope + v) + H * v * D;
  return {parameters, 2 * parameters + 2 * H * (nope + rope + v) * mean_context};
}

LayerCost feed_forward_cost(const DeepseekConfig& c, bool moe) {
  auto D = static_cast<double>(c.hidden_size);
  if (!moe) {
    double parameters = 3 * D * static_cast<double>(c.intermediate_size);
    return {parameters, 2 * parameters};
  }
  auto active = static_cast<double>(c.n_shared_experts + c.route.num_experts_per_tok);
  double parameters =
      3 * D * static_cast<double>(c.moe_intermediate_size) * active + D * static_cast<double>(c.n_routed_experts);
  return {parameters, 2 * parameters};
}

}  // namespace

ModelCosts DeepseekModel::costs(int64_t context) const {
  const DeepseekConfig& c = config_;
  auto D = static_cast<double>(c.hidden_size), V = static_cast<double>(c.vocab_size);
  double mean_context = (static_cast<double>(context) + 1) / 2;
  double active = D * V, flops = 2 * D * V;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    LayerCost attention = attention_cost(c, mean_context), ffn = feed_forward_cost(c, c.is_moe(i));
    active += attention.parameters + ffn.parameters;
    flops += attention.flops + ffn.flops;
  }
  ModelCosts costs;
  if (engram_) {
    const EngramConfig& e = engram_->config();
    auto E = static_cast<double>(e.width()), taps = static_cast<double>(e.kernel_size);
    for (const auto& layer : engram_->layers()) {
      double dense = 2 * E * D + D * taps;  // key and value projections, convolution
      active += dense;
      flops += 2 * dense;
      costs.table_parameters += layer->table().size();
      costs.engram_rows_per_token += e.columns();
      costs.engram_bytes_per_token += e.width() * dtype_bytes(layer->table().weight.value.dtype());
    }
  }
  costs.forward_flops_per_token = flops;
  double mtp = 0;
  for (int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    mtp += attention_cost(c, mean_context).flops + feed_forward_cost(c, c.n_routed_experts > 0).flops + 4 * D * D +
           2 * D * V;
  }
  costs.training_flops_per_token = 3 * (flops + mtp);
  costs.parameters_total = params_.total_parameters();
  costs.parameters_active = static_cast<int64_t>(active);
  return costs;
}

}  // namespace unha
