// SPDX-License-Identifier: Apache-2.0
// One small pool of threads for the whole program. Work is handed out in chunks of rows; which thread takes a chunk
// never matters, because every output element is computed whole by one call (numerics: "same bytes").
//
// Every thread that runs kernels has denormals flushed (FTZ and DAZ); the pool sets this for its own threads and for
// the caller at construction. Workers spin briefly before they sleep: ops in decode take microseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace unha {

// Flushes denormal inputs and results to zero on the calling thread. Idempotent.
void flush_denormals();

class Threads {
 public:
  // n threads in all, the caller's included. n <= 0: as many as the machine has cores (hardware_threads()).
  explicit Threads(int n);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return count_; }

  // Calls f(begin, end) over disjoint ranges that cover [0, n), each of at most `grain` items (the last may be
  // shorter) and starting at a multiple of grain. Blocks until all are done. f must not throw. Not reentrant: a call
  // from inside f runs serially on that thread.
  template <class F>
  void parallel_for(int64_t n, int64_t grain, const F& f) {
    run(n, grain, [](const void* fn, int64_t begin, int64_t end) { (*static_cast<const F*>(fn))(begin, end); }, &f);
  }

  static int hardware_threads();

 private:
  using Call = void (*)(const void* fn, int64_t begin, int64_t end);
  void run(int64_t n, int64_t grain, Call call, const void* fn);
  void worker();
  void take_chunks();

  struct Shared;
  int count_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace unha
