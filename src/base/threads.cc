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
  // The job. Written by the caller while no chunk of it can be taken; read by whoever holds a chunk.
  Call call = nullptr;
  const void* fn = nullptr;
  int64_t n = 0;
  int64_t grain = 1;
  int64_t chunks = 0;
  // High half: the number of the job; low half: chunks that nobody has taken. A worker that comes late finds none and
  // is not waited for.
  alignas(64) std::atomic<uint64_t> tickets{0};
  alignas(64) std::atomic<int64_t> done{0};  // chunks of this job that are finished
  alignas(64) std::atomic<uint32_t> generation{0};
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
  uint64_t tickets = s.tickets.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(tickets) != 0) {
    if (!s.tickets.compare_exchange_weak(tickets, tickets - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    int64_t begin = (s.chunks - static_cast<int64_t>(static_cast<uint32_t>(tickets))) * s.grain;
    s.call(s.fn, begin, std::min(s.n, begin + s.grain));
    s.done.fetch_add(1, std::memory_order_release);
    tickets = s.tickets.load(std::memory_order_acquire);
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
  s.chunks = (n + grain - 1) / grain;
  UNHA_CHECK(s.chunks <= INT32_MAX, "parallel_for: {} chunks", s.chunks);
  s.done.store(0, std::memory_order_relaxed);
  uint64_t job = (s.tickets.load(std::memory_order_relaxed) >> 32) + 1;
  s.tickets.store(job << 32 | static_cast<uint64_t>(s.chunks), std::memory_order_release);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  take_chunks();
  // A worker that lost its core to another program needs ours to finish.
  for (int spin = 0; s.done.load(std::memory_order_acquire) != s.chunks; ++spin) {
    spin < kSpins ? pause_cpu() : std::this_thread::yield();
  }
}

}  // namespace unha
