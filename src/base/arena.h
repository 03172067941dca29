// SPDX-License-Identifier: Apache-2.0
// Bump memory for one step or one forward: allocate, then rewind. Chunks are kept, so after the first step nothing is
// taken from the heap. Memory is 64-byte aligned and not initialised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace unha {

class Arena {
 public:
  struct Mark {
    size_t chunk = 0;
    size_t used = 0;
  };

  // chunk_bytes: size of the chunks taken from the heap; a larger request gets a chunk of its own.
  // limit_bytes: Error(kResource) beyond it; 0: no limit.
  explicit Arena(size_t chunk_bytes = size_t{8} << 20, size_t limit_bytes = 0);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  void* allocate(size_t bytes);
  template <class T>
  T* allocate(int64_t n) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(static_cast<size_t>(n) * sizeof(T)));
  }

  Mark mark() const { return {chunk_, used_}; }
  void rewind(Mark mark);
  void rewind() { rewind(Mark{}); }

  size_t reserved_bytes() const { return reserved_; }  // taken from the heap so far
  size_t peak_bytes() const { return peak_; }          // most in use at once

 private:
  struct Chunk {
    std::byte* data;
    size_t size;
    size_t before;  // bytes in all earlier chunks
  };
  std::vector<Chunk> chunks_;
  size_t chunk_bytes_;
  size_t limit_bytes_;
  size_t chunk_ = 0;  // index of the chunk in use
  size_t used_ = 0;   // bytes used of it
  size_t reserved_ = 0;
  size_t peak_ = 0;
};

}  // namespace unha
