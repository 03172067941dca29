// SPDX-License-Identifier: Apache-2.0
#include "ops/embedding.h"

#include <algorithm>
#include <cstring>

#include "ops/grain.h"
#include "ops/panels.h"

namespace unha::ops {

namespace {

template <class R>
void look_up(Ctx& ctx, const Weight& w, std::span<const int32_t> ids, const Tensor& y) {
  const auto& rows = ctx.kernels<R>().rows;
  const Tensor& table = w.value;
  ctx.threads.parallel_for(y.rows(), row_grain(y.cols()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (!w.stored.empty()) {
        if constexpr (sizeof(R) == sizeof(float)) w.stored.widen(ids[i], 0, y.cols(), y.row<R>(i));
      } else if (table.dtype() == DType::kBF16) {
        rows.widen_bf16(table.row<uint16_t>(ids[i]), y.cols(), y.row<R>(i));
      } else {
        std::memcpy(y.row<R>(i), table.row<R>(ids[i]), static_cast<size_t>(y.cols()) * sizeof(R));
      }
    }
  });
}

// Positions in order of (id, position), and where each id's run begins: what one thread sums for one row.
struct Runs {
  const int32_t* positions;  // [N]
  const int64_t* begins;     // [count + 1]
  const int32_t* ids;        // [count]
  int64_t count;
};

Runs sort_by_id(Arena& arena, std::span<const int32_t> ids) {
  auto n = static_cast<int64_t>(ids.size());
  auto* keys = arena.allocate<uint64_t>(n);
  auto* positions = arena.allocate<int32_t>(n);
  auto* begins = arena.allocate<int64_t>(n + 1);
  auto* unique = arena.allocate<int32_t>(n);
  for (int64_t i = 0; i < n; ++i) keys[i] = static_cast<uint64_t>(ids[i]) << 32 | static_cast<uint64_t>(i);
  std::sort(keys, keys + n);
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    positions[i] = static_cast<int32_t>(keys[i] & 0xffffffffu);
    auto id = static_cast<int32_t>(keys[i] >> 32);
    if (count == 0 || unique[count - 1] != id) {
      begins[count] = i;
      unique[count++] = id;
    }
  }
  begins[count] = n;
  return {positions, begins, unique, count};
}

template <class R>
void add_rows(Ctx& ctx, const Runs& runs, const Tensor& d_y, const Tensor& d_table) {
  const auto& rows = ctx.kernels<R>().rows;
  ctx.threads.parallel_for(runs.count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      int64_t first = runs.begins[run];
      rows.gather_sum(d_y.data<R>(), d_y.stride(), runs.positions + first, runs.begins[run + 1] - first, d_y.cols(),
                      d_table.row<R>(runs.ids[run]));
    }
  });
}

}  // namespace

Tensor embedding(Ctx& ctx, const Weight& w, std::span<const int32_t> ids) {
  for (int32_t id : ids) UNHA_CHECK(id >= 0 && id < w.rows(), "embedding: id {} of {} rows", id, w.rows());
  Tensor y = ctx.make(static_cast<int64_t>(ids.size()), w.cols());
  UNHA_CHECK(w.stored.empty() || ctx.real() == DType::kF32, "embedding: a table of {} in class f64",
             format_name(w.stored.format));
  check_gradients(ctx, w, "embedding");
  ctx.with_real([&](auto real) { look_up<decltype(real)>(ctx, w, ids, y); });
  if (ctx.tape != nullptr && w.wants_grad()) {
    Runs runs = sort_by_id(ctx.arena, ids);
    ctx.tape->record("embedding", [=, &w, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);
      c.with_real([&](auto real) { add_rows<decltype(real)>(c, runs, d_y, w.grad); });
    });
  }
  return y;
}

}  // namespace unha::ops
