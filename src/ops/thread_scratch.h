// SPDX-License-Identifier: Apache-2.0
// Scratch memory for the tasks of one parallel_for: as many blocks as threads, each lent to one task at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ops/ctx.h"

namespace unha::ops {

class ThreadScratch {
 public:
  // The blocks come from the arena and go when the caller rewinds it.
  ThreadScratch(Ctx& ctx, int64_t bytes) : count_(ctx.threads.count()), bytes_((bytes + 63) / 64 * 64 + kSkew) {
    memory_ = ctx.arena.allocate<std::byte>(bytes_ * count_);
    busy_ = ctx.arena.allocate<std::atomic<bool>>(count_);
    for (int64_t i = 0; i < count_; ++i) new (&busy_[i]) std::atomic<bool>(false);
  }

  class Lease {
   public:
    explicit Lease(const ThreadScratch& from) : from_(from) {
      while (from.busy_[index_].exchange(true, std::memory_order_acquire)) index_ = (index_ + 1) % from.count_;
      next_ = from.memory_ + index_ * from.bytes_;
    }
    ~Lease() { from_.busy_[index_].store(false, std::memory_order_release); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    // The next `bytes` of the block, 64-byte aligned.
    std::byte* take(int64_t bytes) {
      std::byte* p = next_;
      next_ += (bytes + 63) / 64 * 64;
      UNHA_DCHECK(next_ <= from_.memory_ + (index_ + 1) * from_.bytes_, "thread scratch of {} bytes", from_.bytes_);
      return p;
    }
    template <class T>
    T* take_array(int64_t n) {
      return reinterpret_cast<T*>(take(n * static_cast<int64_t>(sizeof(T))));
    }

   private:
    const ThreadScratch& from_;
    int64_t index_ = 0;
    std::byte* next_;
  };

 private:
  static constexpr int64_t kSkew = 1024;  // room for the rounding of up to 16 pieces
  int64_t count_;
  int64_t bytes_;
  std::byte* memory_;
  std::atomic<bool>* busy_;
};

}  // namespace unha::ops
