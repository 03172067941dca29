// SPDX-License-Identifier: Apache-2.0
#include "kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "kernels/kernels.h"

namespace unha {

namespace {

constexpr int64_t kReadValues = 64 << 20;  // 256 MB of float
constexpr int kSlices = 200;
constexpr double kSliceSeconds = 5e-4;
constexpr int kReadPasses = 10;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Keeps results that nobody reads from being optimised away.
void keep_alive(double value) { [[maybe_unused]] volatile double sink = value; }

// The best rate of `slices` runs in which each of `workers` threads calls work(worker), which returns its amount.
template <class Work>
double best_rate(Threads& threads, int64_t workers, int slices, const Work& work) {
  double best = 0;
  std::vector<double> amounts(static_cast<size_t>(workers));
  for (int slice = 0; slice < slices; ++slice) {
    auto start = std::chrono::steady_clock::now();
    threads.parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) amounts[static_cast<size_t>(w)] = work(w);
    });
    double elapsed = seconds_since(start);
    double amount = 0;
    for (double a : amounts) amount += a;
    best = std::max(best, amount / elapsed);
  }
  return best;
}

using Slice = double (*)(int64_t rounds, double* keep);

void measure_compute(Threads& threads, Slice slice, MachineLimit* limit) {
  if (slice == nullptr) return;
  double keep = 0;
  int64_t rounds = 1000;
  for (;;) {  // as many rounds as fill a slice
    auto start = std::chrono::steady_clock::now();
    slice(rounds, &keep);
    if (seconds_since(start) > kSliceSeconds / 2) break;
    rounds *= 2;
  }
  auto work = [&](int64_t) {
    double mine = 0;
    double operations = slice(rounds, &mine);
    keep_alive(mine);
    return operations / 1e9;
  };
  limit->one = best_rate(threads, 1, kSlices, work);
  limit->all = best_rate(threads, threads.count(), kSlices, work);
}

void measure_read(Threads& threads, const kernels::PeakKernels<float>& peak, MachineLimit* limit) {
  auto values = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(kReadValues));
  threads.parallel_for(kReadValues, kReadValues / 64,
                       [&](int64_t begin, int64_t end) { std::fill(values.get() + begin, values.get() + end, 1.0f); });
  auto part_of = [&](int64_t workers) {
    return [&, workers](int64_t worker) {
      int64_t n = kReadValues / workers;
      keep_alive(static_cast<double>(peak.read(values.get() + worker * n, n)));
      return static_cast<double>(n) * sizeof(float) / 1e9;
    };
  };
  limit->one = best_rate(threads, 1, kReadPasses, part_of(1));
  limit->all = best_rate(threads, threads.count(), kReadPasses, part_of(threads.count()));
}

}  // namespace

std::vector<MachineLimit> MachineLimits::rows() const {
  std::vector<MachineLimit> result = {read, fma_f32};
  if (dot_bf16.all > 0) result.push_back(dot_bf16);
  return result;
}

MachineLimits measure_limits(Threads& threads, Isa isa) {
  const auto& peak = kernels::kernels_for(isa).peak;
  MachineLimits limits;
  limits.isa = isa;
  limits.threads = threads.count();
  measure_read(threads, peak, &limits.read);
  measure_compute(threads, peak.fma, &limits.fma_f32);
  measure_compute(threads, peak.dot_bf16, &limits.dot_bf16);
  return limits;
}

}  // namespace unha
