// SPDX-License-Identifier: Apache-2.0
// Engram's addresses: which rows of a layer's table the last few token ids point at. A new model derives multipliers
// and prime moduli once, when it is created, and stores them with its weights; whoever loads a model reads them there.
//
// Everything here is in canonical ids (text/canonical_ids.h), all within [0, canonical vocabulary).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace unha {

// The keys of config.json's `engram` block, under their names; `gate` may be absent.
struct EngramConfig {
  enum class Gate { kSignedSqrt, kPlain };

  std::vector<int64_t> engram_vocab_size;  // rows per head, a lower bound; one for each order 2 ... max_ngram_size
  int64_t max_ngram_size = 0;
  int64_t n_embed_per_ngram = 0;  // of all heads of an order together
  int64_t n_head_per_ngram = 0;
  std::vector<int64_t> layer_ids;  // from 0; they enter the seed
  int64_t pad_id = 0;              // raw id
  int64_t seed = 0;
  int64_t kernel_size = 0;  // taps of the convolution, dilation max_ngram_size; 0: no convolution
  int64_t hidden_size = 0;
  int64_t hc_mult = 1;  // residual streams
  Gate gate = Gate::kSignedSqrt;

  int64_t orders() const { return max_ngram_size - 1; }
  int64_t columns() const { return orders() * n_head_per_ngram; }  // rows fetched per token
  int64_t row_width() const { return n_embed_per_ngram / n_head_per_ngram; }
  int64_t width() const { return orders() * n_embed_per_ngram; }  // of the fetched vector
};

// Error(kInvalidArgument) names `what`, the key, and what is wrong with it; unknown keys are refused.
EngramConfig parse_engram_config(const Json& json, const std::string& what);

// One layer's hash. Column (n - 2) * heads + k is head k of order n; its rows are [offset, offset + prime).
struct EngramLayerHash {
  std::vector<int64_t> multipliers;  // [max_ngram_size], the first for the current token
  std::vector<int64_t> primes;       // [columns]
  std::vector<int64_t> offsets;      // [columns], running sum of primes
  int64_t rows = 0;                  // of the table

  friend bool operator==(const EngramLayerHash&, const EngramLayerHash&) = default;
};

// For a new model, one per entry of layer_ids. canonical_vocab: number of distinct canonical ids.
std::vector<EngramLayerHash> derive_hashes(const EngramConfig& config, int64_t canonical_vocab);

// From numbers read back from a file. Error(kCorrupt) if they cannot belong to this configuration: wrong counts,
// multipliers whose products would leave 63 bits, moduli that are not positive. `what` names the layer in messages.
EngramLayerHash stored_hash(const EngramConfig& config, int64_t canonical_vocab, std::span<const int64_t> multipliers,
                            std::span<const int64_t> primes, const std::string& what);

// Rows for the tokens at positions [begin, end) of one sequence. canonical: the sequence's ids from position 0, at
// least `end` of them; before the start stands `pad` (the canonical pad id). out [(end - begin), columns].
void row_ids(const EngramLayerHash& hash, int64_t pad, const int32_t* canonical, int64_t begin, int64_t end,
             int64_t* out);

// The mixes behind them, for tests: out [end - begin, orders].
void ngram_mixes(const EngramLayerHash& hash, int64_t pad, const int32_t* canonical, int64_t begin, int64_t end,
                 int64_t* out);

}  // namespace unha
