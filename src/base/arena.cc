// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <algorithm>
#include <new>

#include "base/error.h"

namespace unha {

namespace {
constexpr size_t kAlign = 64;
size_t round_up(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
}  // namespace

Arena::Arena(size_t chunk_bytes, size_t limit_bytes) : chunk_bytes_(round_up(chunk_bytes)), limit_bytes_(limit_bytes) {}

Arena::~Arena() {
  for (const Chunk& chunk : chunks_) ::operator delete(chunk.data, std::align_val_t{kAlign});
}

void* Arena::allocate(size_t bytes) {
  bytes = round_up(std::max<size_t>(bytes, 1));
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].size) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    size_t size = std::max(bytes, chunk_bytes_);
    if (limit_bytes_ != 0 && reserved_ + size > limit_bytes_) {
      throw_error(ErrorCode::kResource, "working memory: {} bytes needed, the budget is {} bytes", reserved_ + size,
                  limit_bytes_);
    }
    auto* data = static_cast<std::byte*>(::operator new(size, std::align_val_t{kAlign}));
    chunks_.push_back({data, size, reserved_});
    reserved_ += size;
    used_ = 0;
  }
  void* p = chunks_[chunk_].data + used_;
  used_ += bytes;
  peak_ = std::max(peak_, chunks_[chunk_].before + used_);
  return p;
}

void Arena::rewind(Mark mark) {
  chunk_ = mark.chunk;
  used_ = mark.used;
}

}  // namespace unha
