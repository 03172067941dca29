// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2, V2-Lite, V2.5, Coder-V2 (deepseek-v3.md section 0): softmax router without bias, greedy or limited to
// groups by their best expert, weights normalised or scaled, never both.
#pragma once

#include <memory>
#include <string>

#include "model/deepseek_config.h"
#include "model/model.h"

namespace unha {

DeepseekConfig parse_v2_config(const Json& config, const std::string& what, UnknownKeys* unknown = nullptr);
std::unique_ptr<Model> build_v2(const Json& config, const std::string& what, bool allow_unknown);

}  // namespace unha
