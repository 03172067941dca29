// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <algorithm>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/error.h"

namespace unha {

void flush_denormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ (bit 15) and DAZ (bit 6)
#endif
}

namespace {
constexpr int kSpins = 4000;  // some tens of microseconds before a worker sleeps
thread_local bool inside_parallel = false;

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}
}  // namespace

struct Threads::Shared {
  // The job, written by the caller before `generation` moves.
  Call call = nullptr;
  const void* fn = nullptr;
  int64_t n = 0;
  int64_t grain = 1;
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<int> busy{0};  // workers that have not finished the current job
  std::atomic<bool> stop{false};
  std::vector<std::jthread> workers;
};

int Threads::hardware_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

Threads::Threads(int n) : count_(n > 0 ? n : hardware_threads()), shared_(std::make_unique<Shared>()) {
  flush_denormals();
  for (int i = 1; i < count_; ++i) shared_->workers.emplace_back([this] { worker(); });
}

Threads::~Threads() {
  shared_->stop = true;
  shared_->generation.fetch_add(1, std::memory_order_release);
  shared_->generation.notify_all();
}

void Threads::take_chunks() {
  Shared& s = *shared_;
  inside_parallel = true;
  for (;;) {
    int64_t begin = s.next.fetch_add(s.grain, std::memory_order_relaxed);
    if (begin >= s.n) break;
    s.call(s.fn, begin, std::min(s.n, begin + s.grain));
  }
  inside_parallel = false;
}

void Threads::worker() {
  flush_denormals();
  Shared& s = *shared_;
  uint32_t seen = 0;
  for (;;) {
    uint32_t now = s.generation.load(std::memory_order_acquire);
    for (int spin = 0; now == seen && spin < kSpins; ++spin) {
      pause_cpu();
      now = s.generation.load(std::memory_order_acquire);
    }
    if (now == seen) {
      s.generation.wait(seen, std::memory_order_acquire);
      continue;
    }
    seen = now;
    if (s.stop) return;
    take_chunks();
    s.busy.fetch_sub(1, std::memory_order_release);
  }
}

void Threads::run(int64_t n, int64_t grain, Call call, const void* fn) {
  UNHA_CHECK(grain > 0, "parallel_for: grain {}", grain);
  if (n <= 0) return;
  if (count_ == 1 || n <= grain || inside_parallel) {
    for (int64_t begin = 0; begin < n; begin += grain) call(fn, begin, std::min(n, begin + grain));
    return;
  }
  Shared& s = *shared_;
  s.call = call;
  s.fn = fn;
  s.n = n;
  s.grain = grain;
  s.next.store(0, std::memory_order_relaxed);
  s.busy.store(count_ - 1, std::memory_order_relaxed);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  take_chunks();
  // A worker that lost its core to another program needs ours to finish.
  for (int spin = 0; s.busy.load(std::memory_order_acquire) != 0; ++spin) {
    spin < kSpins ? pause_cpu() : std::this_thread::yield();
  }
}

}  // namespace unha
