// SPDX-License-Identifier: Apache-2.0
// A GGUF model that shows itself as a model directory of Hugging Face's. Architectures deepseek2, llama, qwen2, qwen3.
#pragma once

#include <memory>
#include <string>

#include "model/source.h"

namespace unha {

// Whether open_gguf_source() is meant: a path that ends in .gguf, or a directory that holds such files and no
// config.json.
bool is_gguf_path(const std::string& path);

// path: a file, the first of a split one, or the directory of one model. Reads all metadata and no weight; errors name
// file and key or tensor (io/gguf.h, model/gguf_config.h, model/gguf_tokenizer.h).
std::shared_ptr<const ModelSource> open_gguf_source(const std::string& path);

}  // namespace unha
