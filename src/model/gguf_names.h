// SPDX-License-Identifier: Apache-2.0
// Tensors of a GGUF model under Hugging Face's names and shapes (deepseek-v3.md sections 8.2 and 9). Tensors whose name
// is not known keep it.
#pragma once

#include <vector>

#include "model/gguf_model.h"
#include "model/source.h"

namespace unha {

// In order of name. Stacked experts are cut into one tensor per expert. Split MLA weights are k_b_proj [H, R, nope]
// (W_UK transposed per head) and v_b_proj [H, v, R], however many dimensions the file gives them; kv_lora_rank and
// v_head_dim say how (0: no MLA). Error(kCorrupt) if two tensors get one name or stacked experts are not stacked.
std::vector<SourceTensor> gguf_tensors(const GgufModel& model, int64_t kv_lora_rank, int64_t v_head_dim);

}  // namespace unha
