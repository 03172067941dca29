// SPDX-License-Identifier: Apache-2.0
// A very small V3 model with everything on (MoE, MTP, Engram with its convolution) and random values that leave nothing
// at zero, written as a Hugging Face folder.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "model/engram.h"
#include "model/generations.h"

namespace unha {

inline Json tiny_config(int64_t vocab = 101) {
  Json config = parse_json(R"({
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_act": "silu",
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2,
    "q_lora_rank": null, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
    "intermediate_size": 48, "moe_intermediate_size": 24, "first_k_dense_replace": 1, "n_routed_experts": 8,
    "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "topk_method": "noaux_tc",
    "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 1.5, "num_nextn_predict_layers": 1,
    "vocab_size": 101, "max_position_embeddings": 512, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
    "tie_word_embeddings": false, "bos_token_id": 0, "torch_dtype": "float32",
    "engram": {"engram_vocab_size": [61, 67], "max_ngram_size": 3, "n_embed_per_ngram": 16, "n_head_per_ngram": 2,
               "layer_ids": [1], "pad_id": 2, "seed": 0, "kernel_size": 4, "hidden_size": 32, "hc_mult": 1}
  })",
                           "tiny model");
  config["vocab_size"] = vocab;
  return config;
}

// stored: of everything but constants: F32, BF16 or F64.
inline void write_tiny_model(const std::string& dir, int64_t vocab = 101, DType stored = DType::kF32) {
  Json config = tiny_config(vocab);
  std::unique_ptr<Model> model = build_model(config, "tiny model");
  model->params().allocate(Numerics::kF32, false);
  uint64_t number = 0;
  for (Param* param : model->params().by_name()) {
    Rng rng(3, Purpose::kTest, number++);
    double std = param->role == ParamRole::kMatrix || param->role == ParamRole::kRouter ? 0.25 : 0.5;
    double mean = param->init.kind == Init::Kind::kOnes ? 1 : 0;
    float* out = param->weight.value.data<float>();
    for (int64_t i = 0; i < param->size(); ++i) {
      out[i] = static_cast<float>(mean + std * rng.normal_at(static_cast<uint64_t>(i)));
    }
  }
  std::vector<int32_t> canonical(static_cast<size_t>(vocab));
  for (size_t i = 0; i < canonical.size(); ++i) canonical[i] = static_cast<int32_t>(i * 2 / 3);
  model->engram()->create(canonical);
  std::vector<TensorSource> tensors;
  for (const Param* param : model->params().by_name()) {
    const float* values = param->weight.value.data<float>();
    auto fill = [values, stored](int64_t begin, int64_t count, std::byte* out) {
      for (int64_t i = 0; i < count; ++i) {
        float value = values[begin + i];
        double wide = static_cast<double>(value);
        uint16_t half = f32_to_bf16(value);
        const void* from = &value;
        if (stored == DType::kF64) from = &wide;
        if (stored == DType::kBF16) from = &half;
        std::memcpy(out + i * dtype_bytes(stored), from, static_cast<size_t>(dtype_bytes(stored)));
      }
    };
    tensors.push_back({param->name, stored, param->shape, nullptr, fill});
  }
  for (const Constant& constant : model->params().constants()) {
    tensors.push_back({constant.name, constant.dtype, constant.shape, constant.bytes.data(), {}});
  }
  write_file_atomic(dir + "/config.json", config.dump(2));
  write_safetensors(dir + "/model.safetensors", tensors);
}

}  // namespace unha
