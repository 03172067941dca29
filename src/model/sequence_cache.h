// SPDX-License-Identifier: Apache-2.0
// All state that one sequence carries from token to token: latents or keys and values of attention, rows of Engram's
// convolution, and canonical token ids for its n-grams. Everything is indexed by position, so forgetting tokens (a
// rejected draft, a shorter prefix) is setting a length. Values are stored as the class rounds them (numerics.md
// section 3).
#pragma once

#include <memory>
#include <vector>

#include "ops/segment.h"

namespace unha {

// What a model needs cached per position, in order of its layers.
struct CacheLayout {
  std::vector<int64_t> latent_widths;      // kv_lora_rank + qk_rope_head_dim, per attention layer, MTP layers last
  std::vector<int64_t> conv_widths;        // hc_mult * hidden_size, per Engram layer with a convolution
  std::vector<int64_t> kv_widths = {};     // 2 * num_key_value_heads * head_dim: keys, then values; per layer of GQA
  std::vector<int64_t> index_widths = {};  // index_head_dim, per attention layer with an indexer, in the same order

  int64_t attention_layers() const { return static_cast<int64_t>(latent_widths.size() + kv_widths.size()); }
  int64_t bytes_per_token(DType dtype) const;
};

class SequenceCache {
 public:
  SequenceCache(const CacheLayout& layout, DType dtype, int64_t capacity);
  SequenceCache(const SequenceCache&) = delete;
  SequenceCache& operator=(const SequenceCache&) = delete;

  int64_t length() const { return length_; }  // positions of the main model that are there
  int64_t capacity() const { return capacity_; }
  // Forgets positions from `length` on, or accounts for positions that a forward has written.
  void set_length(int64_t length);

  CacheRows latents(int64_t layer) const { return latents_[static_cast<size_t>(layer)]; }
  CacheRows keys_values(int64_t layer) const { return keys_values_[static_cast<size_t>(layer)]; }
  CacheRows index_keys(int64_t layer) const { return index_[static_cast<size_t>(layer)]; }
  CacheRows conv(int64_t layer) const { return conv_[static_cast<size_t>(layer)]; }
  int32_t* canonical() { return canonical_.data(); }  // [capacity]

  int64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> memory_;
  std::vector<CacheRows> latents_, keys_values_, index_, conv_;
  std::vector<int32_t> canonical_;
  int64_t capacity_;
  int64_t length_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace unha
