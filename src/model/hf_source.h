// SPDX-License-Identifier: Apache-2.0
// A Hugging Face directory, a .safetensors file or an index as a ModelSource. FP8 weights come with their block scales
// (deepseek-v3.md section 5): X.weight of F8_E4M3 and X.weight_scale_inv are one tensor, wherever either is stored.
#pragma once

#include "model/source.h"

namespace unha {

// path: as Checkpoint::open takes it.
std::shared_ptr<const ModelSource> open_hf_source(const std::string& path);

// A checkpoint that is open already. Blocks have the size that config.json names under
// quantization_config.weight_block_size, else 128 x 128; Error(kInvalidArgument) if it is no size.
std::shared_ptr<const ModelSource> hf_source(std::shared_ptr<const Checkpoint> checkpoint);

}  // namespace unha
