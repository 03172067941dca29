// SPDX-License-Identifier: Apache-2.0
// Parameters and FLOPs of a DeepSeek model, by the formulas of training.md section 5.2.
#include "model/deepseek.h"

namespace unha {

namespace {

struct LayerCost {
  double parameters = 0;  // active
  double flops = 0;       // forward, per token
};

// Of a token in the mean over a sequence: keys that it sees, keys that it attends to, keys that its indexer scores.
struct Context {
  double seen = 0, attended = 0, scored = 0;

  Context(const DeepseekConfig& c, int64_t length) {
    auto n = static_cast<double>(length);
    seen = attended = (n + 1) / 2;
    if (!c.index || length <= c.index->topk) return;
    auto k = static_cast<double>(c.index->topk);
    attended = (k * (k + 1) / 2 + (n - k) * k) / n;
    scored = seen - k * (k + 1) / 2 / n;  // a token that sees no more than topk keys scores none
  }
};

LayerCost index_cost(const DeepseekConfig& c, const Context& context) {
  if (!c.index) return {};
  auto D = static_cast<double>(c.hidden_size), q_rank = static_cast<double>(c.q_lora_rank);
  auto heads = static_cast<double>(c.index->n_heads), width = static_cast<double>(c.index->head_dim);
  double parameters = q_rank * heads * width + D * (width + heads);
  return {parameters, 2 * parameters + 2 * heads * (width + 1) * context.scored};
}

LayerCost attention_cost(const DeepseekConfig& c, const Context& context) {
  auto D = static_cast<double>(c.hidden_size), H = static_cast<double>(c.num_attention_heads);
  auto R = static_cast<double>(c.kv_lora_rank), rope = static_cast<double>(c.qk_rope_head_dim);
  auto nope = static_cast<double>(c.qk_nope_head_dim), v = static_cast<double>(c.v_head_dim);
  auto q_rank = static_cast<double>(c.q_lora_rank);
  double query = c.q_lora_rank == 0 ? D * H * (nope + rope) : q_rank * (D + H * (nope + rope));
  double parameters = query + D * (R + rope) + R * H * (nope + v) + H * v * D;
  LayerCost index = index_cost(c, context);
  return {parameters + index.parameters, 2 * parameters + 2 * H * (nope + rope + v) * context.attended + index.flops};
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

ModelCosts DeepseekModel::costs(int64_t length) const {
  const DeepseekConfig& c = config_;
  auto D = static_cast<double>(c.hidden_size), V = static_cast<double>(c.vocab_size);
  Context context(c, length);
  double active = D * V, flops = 2 * D * V;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    LayerCost attention = attention_cost(c, context), ffn = feed_forward_cost(c, c.is_moe(i));
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
      const Weight& table = layer->table().weight;
      int64_t row = table.stored.empty() ? e.row_width() * dtype_bytes(table.value.dtype()) : table.stored.row_bytes;
      costs.engram_bytes_per_token += e.columns() * row;
    }
  }
  costs.forward_flops_per_token = flops;
  double mtp = 0;
  for (int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    mtp +=
        attention_cost(c, context).flops + feed_forward_cost(c, c.n_routed_experts > 0).flops + 4 * D * D + 2 * D * V;
  }
  costs.training_flops_per_token = 3 * (flops + mtp);
  costs.parameters_total = params_.total_parameters();
  costs.parameters_active = static_cast<int64_t>(active);
  return costs;
}

}  // namespace unha
