// SPDX-License-Identifier: Apache-2.0
// Products of the shapes that `tiny` trains and decodes with, as shares of the peak measured in the same run. With one
// thread the clock is the thread's own CPU time, so that other programs on the machine cost cache but not time.
//
//   cmake --preset release && cmake --build --preset release --target unha_ops
//   L=build/release/libunha_; g++ -std=c++20 -O2 -Isrc tools/gemm_bench.cc -o /tmp/gemm_bench
//     ${L}ops.a ${L}kernels.a ${L}tensor.a ${L}base.a -lfmt -lcrypto -pthread
//   /tmp/gemm_bench THREADS CLASS [FILTER]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/peak.h"
#include "ops/matmul.h"

namespace unha {
namespace {

struct Bench {
  Ctx& ctx;
  double peak;  // GFLOP/s of all threads
  bool own_time;
  std::string filter;

  double now() const {
    timespec t;
    clock_gettime(own_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }

  void run(const std::string& name, double flops, const std::function<void()>& f) const {
    if (name.find(filter) == std::string::npos) return;
    f();
    std::vector<double> times;
    double start = now();
    while (times.size() < 5 || (times.size() < 200 && now() - start < 0.7)) {
      double before = now();
      f();
      times.push_back(now() - before);
    }
    std::sort(times.begin(), times.end());
    double best = flops / times.front() / 1e9, median = flops / times[times.size() / 2] / 1e9;
    std::printf("%-24s %9.1f us  best %6.1f GFLOP/s %5.1f %%  median %5.1f %%\n", name.c_str(), times.front() * 1e6,
                best, best / peak * 100, median / peak * 100);
    std::fflush(stdout);
  }
};

std::vector<float> values(int64_t n) {
  Rng rng(1, Purpose::kTest, static_cast<uint64_t>(n));
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = static_cast<float>(rng.uniform() * 2 - 1);
  return v;
}

Tensor view(std::vector<float>& v, int64_t rows, int64_t cols) { return {v.data(), DType::kF32, rows, cols}; }

// y = x W^T and both gradients, W [N, K], over T tokens.
void layer(const Bench& bench, int64_t T, int64_t N, int64_t K) {
  using kernels::Accumulate;
  using ops::Operand;
  auto x = values(T * K), w = values(N * K), y = values(T * N), d_w = values(N * K);
  Tensor X = view(x, T, K), W = view(w, N, K), Y = view(y, T, N), dW = view(d_w, N, K);
  Weight weight;
  weight.value = W;
  Ctx& ctx = bench.ctx;
  double flops = 2.0 * static_cast<double>(T) * static_cast<double>(N * K);
  std::string name = fmt::format("{} x [{}, {}]", T, N, K);
  bench.run(name + " y", flops, [&] {
    ops::matmul_packed(ctx, Operand::rows_of(X), ops::packed_panels(ctx, weight), T, N, K, Y, Accumulate::kSet);
  });
  if (T < 64) return;
  bench.run(name + " dx", flops,
            [&] { ops::matmul(ctx, Operand::rows_of(Y), Operand::rows_of(W), T, K, N, X, Accumulate::kAdd); });
  bench.run(name + " dw", flops,
            [&] { ops::matmul(ctx, Operand::transposed(Y), Operand::rows_of(X), N, K, T, dW, Accumulate::kAdd); });
}

void square(const Bench& bench, int64_t n) {
  auto a = values(n * n), b = values(n * n), c = values(n * n);
  Tensor A = view(a, n, n), B = view(b, n, n), C = view(c, n, n);
  bench.run(fmt::format("{}^3", n), 2.0 * static_cast<double>(n * n * n), [&] {
    ops::matmul(bench.ctx, ops::Operand::rows_of(A), ops::Operand::rows_of(B), n, n, n, C, kernels::Accumulate::kSet);
  });
}

}  // namespace
}  // namespace unha

int main(int argc, char** argv) {
  using namespace unha;
  if (argc < 3) return 2;
  Threads threads(std::atoi(argv[1]));
  auto numerics = numerics_from_name(argv[2]);
  if (!numerics) return 2;
  Arena arena;
  Ctx ctx = make_ctx(arena, threads, *numerics, best_isa());
  MachineLimits limits = measure_limits(threads);
  for (const MachineLimit& l : limits.rows()) std::printf("%-10s %7.1f %7.1f %s\n", l.name, l.one, l.all, l.unit);
  // All threads at once may never run together beside other programs: the peak is that of one, times their number.
  Bench bench{ctx, limits.of(*numerics).one * threads.count(), threads.count() == 1, argc > 3 ? argv[3] : ""};
  constexpr int64_t kShapes[][2] = {{256, 256}, {384, 256}, {160, 256}, {640, 256},
                                    {256, 640}, {128, 256}, {256, 128}, {4096, 256}};
  square(bench, 512);
  for (int64_t T : {4096, 16384}) {
    for (auto [N, K] : kShapes) {
      if (T * N <= int64_t{1} << 25) layer(bench, T, N, K);
    }
  }
  for (int64_t T : {1, 2, 4, 8}) {
    for (auto [N, K] : {std::pair{256, 256}, std::pair{640, 256}, std::pair{4096, 256}}) layer(bench, T, N, K);
  }
}
