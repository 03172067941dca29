// SPDX-License-Identifier: Apache-2.0
#include "model/source.h"

#include "model/hf_source.h"

namespace unha {

std::shared_ptr<const ModelSource> open_source(const std::string& path) { return open_hf_source(path); }

}  // namespace unha
