// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_names.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace unha {

namespace {
constexpr int64_t kMaxExperts = 65536;

struct Pair {
  std::string_view gguf, hf;
};

constexpr Pair kTopNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

// blk.N.X -> model.layers.N.Y
constexpr Pair kBlockNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_output.bias", "self_attn.o_proj.bias"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"attn_q_a.weight", "self_attn.q_a_proj.weight"},
    {"attn_q_a.bias", "self_attn.q_a_proj.bias"},
    {"attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight"},
    {"attn_q_b.weight", "self_attn.q_b_proj.weight"},
    {"attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight"},
    {"attn_kv_a_mqa.bias", "self_attn.kv_a_proj_with_mqa.bias"},
    {"attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight"},
    {"attn_kv_b.weight", "self_attn.kv_b_proj.weight"},
    {"attn_k_b.weight", "self_attn.k_b_proj.weight"},
    {"attn_v_b.weight", "self_attn.v_b_proj.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight"},
    {"ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight"},
    {"ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight"},
    {"nextn.eh_proj.weight", "eh_proj.weight"},
    {"nextn.enorm.weight", "enorm.weight"},
    {"nextn.hnorm.weight", "hnorm.weight"},
    {"nextn.embed_tokens.weight", "embed_tokens.weight"},
    {"nextn.shared_head_head.weight", "shared_head.head.weight"},
    {"nextn.shared_head_norm.weight", "shared_head.norm.weight"},
};

// blk.N.X [E, out, in] -> model.layers.N.mlp.experts.e.Y
constexpr Pair kExpertNames[] = {
    {"ffn_gate_exps.weight", "gate_proj.weight"},
    {"ffn_up_exps.weight", "up_proj.weight"},
    {"ffn_down_exps.weight", "down_proj.weight"},
};

template <size_t N>
std::optional<std::string> lookup(const Pair (&list)[N], std::string_view name) {
  for (const Pair& pair : list) {
    if (pair.gguf == name) return std::string(pair.hf);
  }
  return std::nullopt;
}

// "blk.12.attn_q.weight" -> {"12", "attn_q.weight"}; the number as it is spelled, without leading zeros.
std::optional<std::pair<std::string, std::string>> block_part(const std::string& name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  size_t dot = name.find('.', kPrefix.size());
  if (dot == std::string::npos) return std::nullopt;
  std::string number = name.substr(kPrefix.size(), dot - kPrefix.size());
  bool digits = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || (number.size() > 1 && number[0] == '0')) return std::nullopt;
  return std::pair{number, name.substr(dot + 1)};
}

// Rows and columns as SourceTensor::matrix wants them.
StoredMatrix matrix_of(const GgufTensor& tensor, const std::vector<int64_t>& shape) {
  int64_t rows = shape.size() < 2 ? 1 : shape[0], cols = 1;
  for (size_t i = shape.size() < 2 ? 0 : 1; i < shape.size(); ++i) cols *= shape[i];
  return {tensor.data, tensor.format, rows, cols, format_row_bytes(tensor.format, cols), {}};
}

class Namer {
 public:
  Namer(int64_t kv_lora_rank, int64_t v_head_dim) : kv_lora_rank_(kv_lora_rank), v_head_dim_(v_head_dim) {}

  void add(const GgufTensor& tensor, const std::string& file) {
    if (auto top = lookup(kTopNames, tensor.name)) return add_as(*top, tensor, file, tensor.shape);
    if (auto part = block_part(tensor.name)) {
      std::string layer = "model.layers." + part->first + ".";
      if (auto name = lookup(kBlockNames, part->second))
        return add_as(layer + *name, tensor, file, shape_of(tensor, *part));
      if (auto name = lookup(kExpertNames, part->second))
        return add_experts(layer + "mlp.experts.", *name, tensor, file);
    }
    add_as(tensor.name, tensor, file, tensor.shape);
  }

  std::vector<SourceTensor> take() {
    std::ranges::sort(list_, {}, &SourceTensor::name);
    for (size_t i = 1; i < list_.size(); ++i) {
      if (list_[i].name != list_[i - 1].name) continue;
      throw_error(ErrorCode::kCorrupt, "{}: two tensors stand for {}", list_[i].file, quoted_name(list_[i].name));
    }
    return std::move(list_);
  }

 private:
  // Split MLA weights of two dimensions get their third.
  std::vector<int64_t> shape_of(const GgufTensor& tensor, const std::pair<std::string, std::string>& part) const {
    int64_t inner = part.second == "attn_k_b.weight"   ? kv_lora_rank_
                    : part.second == "attn_v_b.weight" ? v_head_dim_
                                                       : 0;
    const std::vector<int64_t>& shape = tensor.shape;
    if (inner <= 0 || shape.size() != 2 || shape[0] % inner != 0) return shape;
    return {shape[0] / inner, inner, shape[1]};
  }

  void add_as(std::string name, const GgufTensor& tensor, const std::string& file, std::vector<int64_t> shape) {
    StoredMatrix matrix = matrix_of(tensor, shape);
    push(std::move(name), file, std::move(shape), matrix, tensor.bytes);
  }

  void add_experts(const std::string& prefix, const std::string& name, const GgufTensor& tensor,
                   const std::string& file) {
    if (tensor.shape.size() != 3) {
      throw_error(ErrorCode::kCorrupt, "{}: tensor {}: expected three dimensions, found {}", file,
                  quoted_name(tensor.name), tensor.shape.size());
    }
    if (tensor.bytes == 0 || tensor.shape[0] > kMaxExperts) {
      throw_error(ErrorCode::kCorrupt, "{}: tensor {}: {} experts in {} bytes", file, quoted_name(tensor.name),
                  tensor.shape[0], tensor.bytes);
    }
    int64_t experts = tensor.shape[0], rows = tensor.shape[1], cols = tensor.shape[2];
    StoredMatrix all{tensor.data, tensor.format, experts * rows, cols, format_row_bytes(tensor.format, cols), {}};
    for (int64_t e = 0; e < experts; ++e) {
      StoredMatrix one = rows_of(all, e * rows, rows);
      push(prefix + std::to_string(e) + "." + name, file, {rows, cols}, one, one.bytes());
    }
  }

  void push(std::string name, const std::string& file, std::vector<int64_t> shape, const StoredMatrix& matrix,
            int64_t bytes) {
    SourceTensor tensor;
    tensor.name = std::move(name);
    tensor.file = file;
    tensor.shape = std::move(shape);
    tensor.matrix = matrix;
    tensor.bytes = bytes;
    list_.push_back(std::move(tensor));
  }

  int64_t kv_lora_rank_, v_head_dim_;
  std::vector<SourceTensor> list_;
};
}  // namespace

std::vector<SourceTensor> gguf_tensors(const GgufModel& model, int64_t kv_lora_rank, int64_t v_head_dim) {
  Namer namer(kv_lora_rank, v_head_dim);
  for (const auto& [name, placed] : model.tensors) namer.add(*placed.tensor, *placed.file);
  return namer.take();
}

}  // namespace unha
