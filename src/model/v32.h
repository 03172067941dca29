// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V3.2-Exp and V3.2 (deepseek-v3.md sections 0 and 6): V3 with a lightning indexer in every layer, which
// chooses the keys that attention sees.
#pragma once

#include <memory>
#include <string>

#include "model/deepseek_config.h"
#include "model/model.h"

namespace unha {

DeepseekConfig parse_v32_config(const Json& config, const std::string& what, UnknownKeys* unknown = nullptr);
std::unique_ptr<Model> build_v32(const Json& config, const std::string& what, bool allow_unknown);

}  // namespace unha
