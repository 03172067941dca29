// SPDX-License-Identifier: Apache-2.0
// A checkpoint of a run: a Hugging Face model directory and optimizer.safetensors (docs/format.md). Equal runs give
// equal bytes: nothing of time, path, host, threads, tier or commit is in it.
#pragma once

#include <string>

#include "base/json.h"
#include "io/checkpoint.h"
#include "train/trainer.h"

namespace unha {

// What a run writes beside its tensors.
struct RunIdentity {
  Json model_config;  // config.json, unha_numerics included
  std::string tokenizer_json;
  std::string tokenizer_config_json;
  Json settings;  // all that decides the result: two runs of equal settings are the same run
};

// Writes DIR/step-NNNNNNNN and points DIR/last at it. Returns the path.
std::string save_run(FileSystem& fs, const std::string& dir, const RunIdentity& identity, Model& model,
                     const Trainer& trainer, int64_t keep = 2);

// Takes everything from a checkpoint that save_run wrote. Error(kInvalidArgument) that names the keys whose settings
// differ, Error(kCorrupt) for anything damaged.
void restore_run(const std::string& path, const RunIdentity& identity, Model& model, Trainer& trainer);

}  // namespace unha
