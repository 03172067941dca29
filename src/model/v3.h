// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V3, V3-0324, V3.1, R1, R1-Zero, R1-0528 (deepseek-v3.md section 0): sigmoid router with bias, multi-token
// prediction, and, as an addition of ours, Engram (engram.md).
#pragma once

#include <memory>
#include <string>

#include "model/deepseek_config.h"
#include "model/model.h"

namespace unha {

DeepseekConfig parse_v3_config(const Json& config, const std::string& what, UnknownKeys* unknown = nullptr);
std::unique_ptr<Model> build_v3(const Json& config, const std::string& what, bool allow_unknown);

}  // namespace unha
