// SPDX-License-Identifier: Apache-2.0
#include "model/sequence_cache.h"

#include <cstring>
#include <new>

namespace unha {

namespace {
constexpr std::align_val_t kAlign{64};
constexpr int64_t kBlock = 64;  // attention reads whole blocks of positions
int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
}  // namespace

int64_t CacheLayout::bytes_per_token(DType dtype) const {
  int64_t width = 0;
  for (int64_t w : latent_widths) width += w;
  for (int64_t w : kv_widths) width += w;
  for (int64_t w : index_widths) width += w;
  for (int64_t w : conv_widths) width += w;
  return width * dtype_bytes(dtype);
}

void SequenceCache::Free::operator()(std::byte* p) const { ::operator delete(p, kAlign); }

SequenceCache::SequenceCache(const CacheLayout& layout, DType dtype, int64_t capacity) : capacity_(capacity) {
  int64_t rows = round_up(capacity, kBlock);
  auto area = [&](int64_t width) { return round_up(rows * width * dtype_bytes(dtype), 64); };
  for (int64_t width : layout.latent_widths) bytes_ += area(width);
  for (int64_t width : layout.kv_widths) bytes_ += area(width);
  for (int64_t width : layout.index_widths) bytes_ += area(width);
  for (int64_t width : layout.conv_widths) bytes_ += area(width);
  memory_.reset(static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes_ + 64), kAlign)));
  std::memset(memory_.get(), 0, static_cast<size_t>(bytes_));
  std::byte* at = memory_.get();
  auto take = [&](int64_t width) {
    CacheRows taken{at, dtype, width, rows};
    at += area(width);
    return taken;
  };
  for (int64_t width : layout.latent_widths) latents_.push_back(take(width));
  for (int64_t width : layout.kv_widths) keys_values_.push_back(take(width));
  for (int64_t width : layout.index_widths) index_.push_back(take(width));
  for (int64_t width : layout.conv_widths) conv_.push_back(take(width));
  canonical_.resize(static_cast<size_t>(rows));
}

void SequenceCache::set_length(int64_t length) {
  UNHA_CHECK(length >= 0 && length <= capacity_, "cache length {} of {}", length, capacity_);
  length_ = length;
}

}  // namespace unha
