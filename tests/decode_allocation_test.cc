// SPDX-License-Identifier: Apache-2.0
// Decode takes nothing from the heap once it is warm: every operator new of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/generate.h"
#include "io/test_dir.h"
#include "tiny_model.h"

namespace {
std::atomic<int64_t> g_allocations{0};

void* counted(std::size_t bytes, std::size_t align) {
  ++g_allocations;
  void* p = align <= alignof(std::max_align_t) ? std::malloc(bytes)
                                               : std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

void* operator new(std::size_t n) { return counted(n, 1); }
void* operator new[](std::size_t n) { return counted(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
// Inlined without its new, a delete looks to g++ 12 like a free() of what new gave.
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace unha {
namespace {

// Steps of decode that took memory from the heap.
void expect_no_allocation(DType stored, Numerics numerics) {
  TestDir dir;
  write_tiny_model(dir.path(), 101, stored);
  EngineOptions options;
  options.threads = 2;
  options.isa = best_isa();
  options.numerics = numerics;
  auto engine = Engine::open(dir.path(), options);
  Session session(*engine, 512, true);
  std::vector<int32_t> prompt;  // long enough to choose every expert once, which packs its weights
  for (int32_t i = 0; i < 300; ++i) prompt.push_back((i * 37 + i * i % 29) % 101);
  session.prefill(prompt);
  Sampler sampler(SamplingOptions(), engine->drawable_ids());
  int32_t ids[2] = {1, 2};
  auto step = [&](int64_t position) {
    ids[1] = sampler.draw(session.draft(ids[0]).row<float>(0), position);
    ids[0] = sampler.draw(session.decode(ids).row<float>(1), position);
  };
  for (int64_t i = 0; i < 8; ++i) step(i);
  int64_t before = g_allocations;
  for (int64_t i = 8; i < 100; ++i) step(i);
  EXPECT_EQ(g_allocations - before, 0) << numerics_name(numerics) << " of " << dtype_name(stored);
}

// With kept panels, with panels from bf16 and with panels widened from what is stored.
TEST(DecodeAllocation, WarmDecodeTakesNothingFromTheHeap) {
  for (DType stored : {DType::kF32, DType::kBF16, DType::kF64}) {
    for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) expect_no_allocation(stored, numerics);
  }
}

}  // namespace
}  // namespace unha
