// SPDX-License-Identifier: Apache-2.0
#include "model/source.h"

#include "model/gguf_source.h"
#include "model/hf_source.h"

namespace unha {

std::shared_ptr<const ModelSource> open_source(const std::string& path) {
  return is_gguf_path(path) ? open_gguf_source(path) : open_hf_source(path);
}

}  // namespace unha
