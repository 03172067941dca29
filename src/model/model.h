// SPDX-License-Identifier: Apache-2.0
// What engine and train know of a model: the one forward (trunk, head, MTP), its parameters, its caches, its costs.
// One file per generation implements it (generations.h); the same code trains, prefills and decodes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/batch.h"
#include "model/params.h"

namespace unha {

class EngramMemory;

// Counted from shapes; FLOPs as in training.md section 5.2 (a multiply and an add are two).
struct ModelCosts {
  int64_t parameters_total = 0;
  int64_t parameters_active = 0;  // per token: all but unchosen experts, table rows and the embedding lookup; with head
  int64_t table_parameters = 0;
  double forward_flops_per_token = 0;   // at the mean context of a sequence of `context` tokens, MTP excluded
  double training_flops_per_token = 0;  // three times the forward, MTP included
  int64_t engram_rows_per_token = 0;
  int64_t engram_bytes_per_token = 0;
};

class Model {
 public:
  virtual ~Model() = default;

  // ids -> residual stream after the last layer, before the final norm. [N] -> [N, D]
  // With caches: reads positions [0, pos0) and writes [pos0, pos0 + len) of each; the caller then sets the length.
  virtual Tensor trunk(Ctx& ctx, const Batch& batch) = 0;
  // The final norm of rows of the trunk, [n, D] -> [n, D]; logits = linear(norm, head()).
  virtual Tensor final_norm(Ctx& ctx, Tensor h) = 0;
  virtual const Weight& head() const = 0;  // [V, D]

  // Multi-token prediction module k (deepseek-v3.md section 4.2). Row i takes the state h of position i (the trunk's,
  // or module k-1's) and the id of position i + 1 + k; `batch.ids` are those next ids. -> residual stream [N, D]
  virtual int mtp_depth() const = 0;
  virtual Tensor mtp(Ctx& ctx, int k, Tensor h, const Batch& batch) = 0;
  virtual Tensor mtp_norm(Ctx& ctx, int k, Tensor h) = 0;  // then linear with mtp_head
  virtual const Weight& mtp_head(int k) const = 0;

  // Called once all values are there (bound from a checkpoint): checks and takes what is not a Weight.
  virtual void bound() {}

  // Blocks forget their activations and run again in backward (ops/recompute.h): less memory, the same bytes.
  void set_recompute(bool on) { recompute_ = on; }
  virtual EngramMemory* engram() { return nullptr; }  // null: the model has none

  virtual CacheLayout cache_layout() const = 0;
  virtual ModelCosts costs(int64_t context) const = 0;

  virtual const Json& config() const = 0;  // config.json as read
  // Keys of it that this program does not know, which are only there if the caller allowed them (config_keys.h).
  const std::vector<std::string>& unknown_keys() const { return unknown_keys_; }
  virtual int64_t vocab_size() const = 0;
  virtual int64_t hidden_size() const = 0;
  virtual int64_t max_positions() const = 0;
  virtual int64_t bos_token_id() const = 0;  // -1: none
  virtual int64_t eos_token_id() const = 0;
  // Each of them ends a text; some configs list several.
  virtual std::vector<int64_t> eos_token_ids() const {
    return eos_token_id() < 0 ? std::vector<int64_t>{} : std::vector<int64_t>{eos_token_id()};
  }

  ParamStore& params() { return params_; }
  const ParamStore& params() const { return params_; }

 protected:
  ParamStore params_;
  std::vector<std::string> unknown_keys_;
  bool recompute_ = false;
};

}  // namespace unha
