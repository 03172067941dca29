// SPDX-License-Identifier: Apache-2.0
// Engram, DeepSeek's conditional memory: in front of a few layers, rows of a large table are fetched by hashes of the
// last few token ids, and a gate per residual stream decides how much of them is let in.
//
// EngramMemory is what a model owns: the folding of token ids and one Engram per layer of the config. The folding, the
// multipliers and the primes are stored with the weights as constants; nobody derives them again for a model that
// exists.
//
//   model is built:    EngramMemory memory(params, config, vocab_size);
//   model is created:  memory.create(canonical_ids);        model is loaded, after params.bind():  memory.loaded(dir);
//   each forward:      auto tokens = memory.fold(ctx, batch);
//   before layer i:    if (Engram* engram = memory.at(i)) h = add(h, engram->forward(ctx, h, batch, tokens));
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/batch.h"
#include "model/engram_hash.h"
#include "model/params.h"
#include "ops/leaf_rows.h"

namespace unha {

// Per segment of a batch, the canonical ids of its sequence by position, history included.
struct EngramTokens {
  std::span<const int32_t* const> canonical;
  int64_t pad = 0;
};

class Engram {
 public:
  // Registers the parameters and constants of one layer under "model.layers.{layer}.engram.".
  Engram(ParamStore& params, const EngramConfig& config, int layer, int64_t rows);
  Engram(const Engram&) = delete;
  Engram& operator=(const Engram&) = delete;

  // What is to be added to the residual streams x [N, M*D]. -> [N, M*D]
  Tensor forward(Ctx& ctx, Tensor x, const Batch& batch, const EngramTokens& tokens);

  int layer() const { return layer_; }
  const EngramLayerHash& hash() const { return hash_; }
  Param& table() { return *table_; }
  // Where a recorded forward sends the table's gradient; whoever updates the table clears it.
  SparseGrad& table_grad() { return table_grad_; }

 private:
  friend class EngramMemory;
  void set_hash(const EngramLayerHash& hash);
  void load_hash(int64_t canonical_vocab, const std::string& what);
  std::span<const int64_t> rows_of(Ctx& ctx, const Batch& batch, const EngramTokens& tokens) const;
  Tensor convolve(Ctx& ctx, Tensor u, const Batch& batch) const;

  EngramConfig config_;
  int layer_;
  int64_t conv_index_ = -1;  // among the convolutions of the sequence cache
  EngramLayerHash hash_;
  Constant* multipliers_ = nullptr;
  Constant* primes_ = nullptr;
  Param* table_ = nullptr;
  std::vector<const Weight*> wk_, wk_bias_;  // one per stream
  const Weight* wv_ = nullptr;
  const Weight* wv_bias_ = nullptr;
  std::vector<const Weight*> key_norm_, x_norm_, conv_norm_;
  const Weight* conv_ = nullptr;  // [M*D, taps]
  SparseGrad table_grad_;
};

class EngramMemory {
 public:
  // vocab_size: raw ids are below it. Error(kInvalidArgument) if the config's pad id is not.
  EngramMemory(ParamStore& params, const EngramConfig& config, int64_t vocab_size);

  // For a new model: takes the folding of the vocabulary (raw id -> canonical id; raw ids beyond its end keep to
  // themselves) and derives the hashes.
  void create(std::span<const int32_t> canonical_ids);
  // After the constants have been read. Error(kCorrupt) if they contradict the config; `what` names the model.
  void loaded(const std::string& what);

  // Canonical ids of a batch, put into its caches if it has them. Lives as long as the arena's step.
  EngramTokens fold(Ctx& ctx, const Batch& batch) const;

  Engram* at(int64_t layer);  // nullptr if the layer has none
  const std::vector<std::unique_ptr<Engram>>& layers() const { return layers_; }
  const EngramConfig& config() const { return config_; }
  int64_t canonical_vocab() const { return canonical_vocab_; }
  // Widths of the convolution rows that a sequence cache holds, in order of layers (model/sequence_cache.h).
  std::vector<int64_t> conv_widths() const;

 private:
  EngramConfig config_;
  int64_t vocab_size_;
  int64_t canonical_vocab_ = 0;  // 0: neither created nor loaded
  Constant* canonical_ids_;      // [vocab_size] i32
  std::vector<std::unique_ptr<Engram>> layers_;
};

}  // namespace unha
