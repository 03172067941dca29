// SPDX-License-Identifier: Apache-2.0
// config.json of a GGUF model: its metadata under Hugging Face's keys, as build_model() reads them (deepseek-v3.md
// sections 8.1 and 9).
#pragma once

#include <string>

#include "base/json.h"
#include "model/gguf_model.h"

namespace unha {

// Keys of the architecture's own prefix that are not known here stand in the result under their GGUF names: whoever
// reads the config refuses them by name, or lists them, as any unknown key. Error(kInvalidArgument) names the GGUF key
// that is missing or contradicts others or the tensors; Error(kUnsupported) the value that is not supported.
Json gguf_config(const GgufModel& model);

}  // namespace unha
