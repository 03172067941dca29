// SPDX-License-Identifier: Apache-2.0
#include "train/measure_training.h"

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "model/generations.h"
#include "model/v3.h"
#include "train/trainer.h"

namespace unha {

namespace {

// Documents of ids drawn at random, each a row long.
class RandomDocuments final : public Documents {
 public:
  RandomDocuments(int64_t length, int64_t vocab) : length_(length), vocab_(vocab) {}
  int64_t count() const override { return 1024; }
  int64_t tokens() const override { return count() * length_; }
  void read(int64_t i, Document& out) const override {
    Rng rng(1, Purpose::kTest, static_cast<uint64_t>(i));
    out.ids.assign(1, 0);
    while (static_cast<int64_t>(out.ids.size()) < length_) {
      out.ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab_))));
    }
    out.learned.assign(out.ids.size(), 1);
  }
  double weight(int64_t) const override { return 1; }
  std::string digest() const override { return "random"; }

 private:
  int64_t length_, vocab_;
};

// Forward FLOPs per token of the ops whose work the formulas of training.md section 5.2 tell apart; linear is the rest.
std::map<std::string, double> flops_by_op(const DeepseekConfig& c, int64_t context, double all) {
  auto f = [](int64_t value) { return static_cast<double>(value); };
  double D = f(c.hidden_size), H = f(c.num_attention_heads), nope = f(c.qk_nope_head_dim), v = f(c.v_head_dim);
  double blocks = f(c.num_hidden_layers + c.num_nextn_predict_layers);
  double routed = f(c.n_routed_experts > 0 ? c.num_nextn_predict_layers : 0);
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) routed += c.is_moe(layer) ? 1 : 0;
  std::map<std::string, double> flops;
  double core = 2 * H * (nope + f(c.qk_rope_head_dim) + v) * (f(context) + 1) / 2;
  flops["mla_attend"] = blocks * (core + 2 * f(c.kv_lora_rank) * H * (nope + v));
  flops["moe_experts"] =
      routed * 6 * D * f(c.moe_intermediate_size) * f(c.n_shared_experts + c.route.num_experts_per_tok);
  flops["moe_route"] = routed * 2 * D * f(c.n_routed_experts);
  flops["head_loss"] = f(1 + c.num_nextn_predict_layers) * 2 * D * f(c.vocab_size);
  double counted = 0;
  for (const auto& [name, value] : flops) counted += value;
  flops["linear"] = all - counted;
  return flops;
}

TrainConfig train_config(const Json& model, const MeasureTraining& options) {
  TrainConfig config;
  config.what = "bench";
  config.model = model;
  config.steps = 1000;
  config.batch_tokens = options.batch_tokens;
  config.sequence_length = options.sequence_length;
  config.document_mask = false;
  return config;
}

}  // namespace

Json tiny_config() {
  return parse_json(R"({
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"],
    "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 4,
    "q_lora_rank": null, "kv_lora_rank": 128, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64,
    "intermediate_size": 640, "moe_intermediate_size": 128, "first_k_dense_replace": 1, "moe_layer_freq": 1,
    "n_routed_experts": 32, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": true, "routed_scaling_factor": 1.0, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
    "vocab_size": 4096, "max_position_embeddings": 512, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
    "hidden_act": "silu", "attention_bias": false, "tie_word_embeddings": false, "num_nextn_predict_layers": 0,
    "bos_token_id": 0, "eos_token_id": 1
  })",
                    "tiny");
}

TrainingFigures measure_training(const Json& model_config, const MeasureTraining& options, Numerics numerics, Isa isa,
                                 Threads& threads) {
  std::unique_ptr<Model> model = build_model(model_config, "bench");
  model->params().allocate(numerics, true);
  TrainConfig config = train_config(model_config, options);
  RandomDocuments documents(options.sequence_length, model->vocab_size());
  Trainer trainer(*model, config, documents, numerics, isa, threads);
  trainer.optimizer().create(trainer.ctx(), 1);
  TrainingFigures best;
  for (int64_t step = 0; step <= options.steps; ++step) {
    StepProfile profile;
    trainer.profiled_step(profile);
    double seconds = 0;  // the profile accounts for the whole step
    for (const auto& [name, time] : profile) seconds += time.forward_s + time.backward_s;
    if (step == 0 || (best.step_s > 0 && seconds >= best.step_s)) continue;  // the first step warms up
    best.step_s = seconds;
    best.ops.clear();
    for (const auto& [name, time] : profile) best.ops.push_back({name, time.forward_s, time.backward_s, 0});
  }
  best.tokens = options.batch_tokens;
  best.flops_per_token = model->costs(options.sequence_length).training_flops_per_token;
  auto flops = flops_by_op(parse_v3_config(model_config, "bench"), options.sequence_length, best.flops_per_token / 3);
  for (OpFigures& op : best.ops) {
    if (auto it = flops.find(op.name); it != flops.end()) {
      op.flops = 3 * it->second * static_cast<double>(best.tokens);
    }
  }
  std::sort(best.ops.begin(), best.ops.end(), [](const OpFigures& a, const OpFigures& b) {
    return a.forward_s + a.backward_s > b.forward_s + b.backward_s;
  });
  return best;
}

}  // namespace unha
