// SPDX-License-Identifier: Apache-2.0
// The config of `unha train`: one JSON object, every key known, checked and named in errors. Relative paths start at
// the config's folder. `--set a.b=value` replaces or adds a key before anything is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "kernels/isa.h"
#include "train/schedule.h"

namespace unha {

enum class Objective { kPretrain, kSft };

struct OptimizerConfig {
  double lr = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.1;
  double clip = 1.0;  // 0: never
  double engram_lr_factor = 5;
};

struct TrainConfig {
  std::string what;  // names the config in errors

  Json model;             // a config.json object; null with `init`
  std::string init;       // model folder to start from
  std::string tokenizer;  // folder or file; empty: the one of `init`

  struct Source {
    std::string path;
    double weight = 1;  // times per epoch; the fraction goes to a random part of the documents
  };
  Objective objective = Objective::kPretrain;
  std::vector<Source> data;          // token shards
  std::vector<std::string> chats;    // JSONL, for sft
  std::vector<std::string> heldout;  // text files, for bits per byte

  int64_t steps = 0;
  int64_t seed = 0;
  int64_t batch_tokens = 0;
  int64_t sequence_length = 0;
  int64_t gradient_groups = 1;
  bool document_mask = true;
  std::optional<Numerics> numerics;  // nothing: the command line's, the init model's, or the machine's

  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  double balance_alpha = 1e-4;
  bool recompute = false;

  int64_t eval_every = 0;   // steps; 0: at the end only
  int64_t eval_bytes = 0;   // of each held-out file; 0: all
  int64_t save_every = 0;   // steps; 0: by time only
  double save_minutes = 5;  // 0: by steps only
};

// Reads `path`, applies `overrides` ("key=value", dotted keys; a value is JSON, or else a string), checks everything.
TrainConfig load_train_config(const std::string& path, const std::vector<std::string>& overrides);
TrainConfig parse_train_config(Json json, const std::string& what, const std::string& folder);
void apply_override(Json& json, const std::string& override_text);

}  // namespace unha
