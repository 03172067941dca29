// SPDX-License-Identifier: Apache-2.0
#include "ops/leaf_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace unha {

namespace {
constexpr int64_t kRowGrain = 128;
}

void TableRows::gather(Threads& threads, std::span<const int64_t> ids, std::byte* out) const {
  if (!stored_.empty()) {
    threads.parallel_for(static_cast<int64_t>(ids.size()), kRowGrain, [&](int64_t begin, int64_t end) {
      auto* row = reinterpret_cast<float*>(out);
      for (int64_t i = begin; i < end; ++i) {
        stored_.widen(ids[static_cast<size_t>(i)], 0, stored_.cols, row + i * stored_.cols);
      }
    });
    return;
  }
  int64_t bytes = table_.cols() * dtype_bytes(table_.dtype());
  int64_t stride = table_.stride() * dtype_bytes(table_.dtype());
  threads.parallel_for(static_cast<int64_t>(ids.size()), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(out + i * bytes, table_.bytes() + ids[static_cast<size_t>(i)] * stride, static_cast<size_t>(bytes));
    }
  });
}

Tensor SparseGrad::values() const {
  if (rows_.empty()) return {};
  return {values_.data(), dtype_, static_cast<int64_t>(rows_.size()), cols_};
}

void SparseGrad::clear() {
  rows_.clear();
  values_.clear();
}

// Entries by row, within a row by place: a stable radix sort over as many digits as the largest row has.
void SparseGrad::sort_places(std::span<const int64_t> ids) {
  constexpr int kDigit = 11;
  constexpr size_t kBuckets = size_t{1} << kDigit;
  UNHA_CHECK(ids.size() <= std::numeric_limits<uint32_t>::max(), "leaf_rows: {} rows in one pass", ids.size());
  sorted_.resize(ids.size());
  scratch_.resize(ids.size());
  int64_t largest = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    sorted_[i] = {ids[i], static_cast<uint32_t>(i)};
    largest = std::max(largest, ids[i]);
  }
  for (int shift = 0; shift < 63 && (largest >> shift) != 0; shift += kDigit) {
    std::array<size_t, kBuckets + 1> start{};
    auto digit = [&](const Entry& entry) { return static_cast<size_t>(entry.row >> shift) % kBuckets; };
    for (const Entry& entry : sorted_) ++start[digit(entry) + 1];
    for (size_t b = 0; b < kBuckets; ++b) start[b + 1] += start[b];
    for (const Entry& entry : sorted_) scratch_[start[digit(entry)]++] = entry;
    std::swap(sorted_, scratch_);
  }
}

void SparseGrad::add(Ctx& ctx, std::span<const int64_t> ids, int64_t columns, const Tensor& d_e) {
  UNHA_CHECK(static_cast<int64_t>(ids.size()) == d_e.rows() * columns && d_e.cols() % columns == 0,
             "leaf_rows: {} ids for a gradient [{}, {}] of {} columns", ids.size(), d_e.rows(), d_e.cols(), columns);
  sort_places(ids);
  SparseGrad fresh;
  fresh.dtype_ = ctx.real();
  fresh.cols_ = d_e.cols() / columns;
  places_.resize(sorted_.size());
  runs_.clear();
  for (size_t i = 0; i < sorted_.size(); ++i) {
    places_[i] = sorted_[i].place;
    if (i > 0 && sorted_[i].row == sorted_[i - 1].row) continue;
    runs_.push_back(static_cast<int64_t>(i));
    fresh.rows_.push_back(sorted_[i].row);
  }
  runs_.push_back(static_cast<int64_t>(sorted_.size()));
  auto count = static_cast<int64_t>(fresh.rows_.size());
  fresh.values_.resize(static_cast<size_t>(count * fresh.cols_ * dtype_bytes(fresh.dtype_)));
  if (count > 0) {
    ctx.with_real([&](auto real) {
      using R = decltype(real);
      Tensor out = fresh.values();
      ctx.threads.parallel_for(count, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t first = runs_[static_cast<size_t>(i)], last = runs_[static_cast<size_t>(i) + 1];
          ctx.kernels<R>().engram.sum_rows(d_e.data<R>(), d_e.stride(), columns, places_.data() + first, last - first,
                                           fresh.cols_, out.row<R>(i));
        }
      });
    });
  }
  add(ctx, fresh);
}

void SparseGrad::add(Ctx& ctx, const SparseGrad& other) {
  if (other.empty()) return;
  if (empty()) {
    rows_ = other.rows_;
    values_ = other.values_;
    dtype_ = other.dtype_;
    cols_ = other.cols_;
    return;
  }
  UNHA_CHECK(dtype_ == other.dtype_ && cols_ == other.cols_, "adding gradients of tables of {} and {} columns", cols_,
             other.cols_);
  std::vector<int64_t> merged;
  std::vector<std::array<int64_t, 2>> from;  // row here and there, -1 if it is not
  merged.reserve(rows_.size() + other.rows_.size());
  for (size_t i = 0, j = 0; i < rows_.size() || j < other.rows_.size();) {
    bool here = i < rows_.size() && (j == other.rows_.size() || rows_[i] <= other.rows_[j]);
    bool there = j < other.rows_.size() && (i == rows_.size() || other.rows_[j] <= rows_[i]);
    merged.push_back(here ? rows_[i] : other.rows_[j]);
    from.push_back({here ? static_cast<int64_t>(i) : -1, there ? static_cast<int64_t>(j) : -1});
    i += here ? 1 : 0;
    j += there ? 1 : 0;
  }
  std::vector<std::byte> sums(merged.size() * static_cast<size_t>(cols_ * dtype_bytes(dtype_)));
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    Tensor a = values(), b = other.values();
    Tensor out(sums.data(), dtype_, static_cast<int64_t>(merged.size()), cols_);
    ctx.threads.parallel_for(out.rows(), kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        auto [i, j] = from[static_cast<size_t>(r)];
        for (int64_t c = 0; c < cols_; ++c) {
          R left = i < 0 ? R{0} : a.row<R>(i)[c];
          out.row<R>(r)[c] = i < 0 ? b.row<R>(j)[c] : j < 0 ? left : left + b.row<R>(j)[c];
        }
      }
    });
  });
  rows_ = std::move(merged);
  values_ = std::move(sums);
}

namespace ops {

Tensor leaf_rows(Ctx& ctx, const RowSource& table, std::span<const int64_t> ids, int64_t columns, SparseGrad* grad) {
  auto n = static_cast<int64_t>(ids.size());
  UNHA_CHECK(columns >= 1 && n % columns == 0, "leaf_rows: {} ids in {} columns", n, columns);
  for (int64_t id : ids) UNHA_CHECK(id >= 0 && id < table.rows(), "leaf_rows: row {} of {}", id, table.rows());
  int64_t N = n / columns, width = columns * table.cols();
  bool wants_grad = ctx.tape != nullptr && grad != nullptr;
  Tensor e = wants_grad ? ctx.make(N, width) : ctx.scratch(ctx.real(), N, width);
  if (table.dtype() == ctx.real()) {
    table.gather(ctx.threads, ids, e.bytes());
  } else {
    UNHA_CHECK(table.dtype() == DType::kBF16, "leaf_rows: a table of {}", dtype_name(table.dtype()));
    auto mark = ctx.arena.mark();
    Tensor bits = ctx.scratch(DType::kBF16, N, width);
    table.gather(ctx.threads, ids, bits.bytes());
    ctx.with_real([&](auto real) {
      using R = decltype(real);
      ctx.threads.parallel_for(N, kRowGrain, [&](int64_t begin, int64_t end) {
        ctx.kernels<R>().optim.widen_bf16(bits.row<uint16_t>(begin), e.row<R>(begin), (end - begin) * width);
      });
    });
    ctx.arena.rewind(mark);
  }
  if (wants_grad) {
    ctx.tape->record("leaf_rows", [=, c = ctx]() mutable {
      if (c.tape->has_grad(e)) grad->add(c, ids, columns, c.tape->grad(e));
    });
  }
  return e;
}

}  // namespace ops
}  // namespace unha
