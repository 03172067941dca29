// SPDX-License-Identifier: Apache-2.0
// Rows fetched from a large table, and their gradients: sparse (row, gradient) pairs in which every touched row is
// there once. The table itself is behind RowSource, so that it may lie in memory or on an SSD.
#pragma once

#include <span>
#include <vector>

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha {

// A table [rows, cols] of bf16 or of the class's real.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  virtual DType dtype() const = 0;
  // Copies row ids[i] to out + i * cols * dtype_bytes. All ids are within [0, rows).
  virtual void gather(Threads& threads, std::span<const int64_t> ids, std::byte* out) const = 0;
};

// A table in memory: its values, or f32 widened from what is stored.
class TableRows final : public RowSource {
 public:
  explicit TableRows(const Tensor& table) : table_(table) {}
  explicit TableRows(const Weight& table) : table_(table.value), stored_(table.stored) {}
  int64_t rows() const override { return stored_.empty() ? table_.rows() : stored_.rows; }
  int64_t cols() const override { return stored_.empty() ? table_.cols() : stored_.cols; }
  DType dtype() const override { return stored_.empty() ? table_.dtype() : DType::kF32; }
  void gather(Threads& threads, std::span<const int64_t> ids, std::byte* out) const override;

 private:
  Tensor table_;
  StoredMatrix stored_;
};

// The gradient of a table as its touched rows, ascending, each once. Duplicates within one pass are one chain from zero
// in order of token, then column; passes are added whole, so a tree of gradient groups is a tree of add() calls.
class SparseGrad {
 public:
  std::span<const int64_t> rows() const { return rows_; }
  // [rows().size(), cols], the class's real; empty if nothing was added.
  Tensor values() const;
  bool empty() const { return rows_.empty(); }
  void clear();

  // ids [N*columns] as given to leaf_rows; d_e [N, columns*D].
  void add(Ctx& ctx, std::span<const int64_t> ids, int64_t columns, const Tensor& d_e);
  // this + other, row by row.
  void add(Ctx& ctx, const SparseGrad& other);

 private:
  void sort_places(std::span<const int64_t> ids);

  std::vector<int64_t> rows_;
  mutable std::vector<std::byte> values_;
  DType dtype_ = DType::kF32;
  int64_t cols_ = 0;

  struct Entry {
    int64_t row;
    uint32_t place;  // token * columns + column
  };
  std::vector<Entry> sorted_, scratch_;  // kept between steps
  std::vector<uint32_t> places_;
  std::vector<int64_t> runs_;  // first entry of each distinct row, and the end
};

namespace ops {

// e[t] = rows ids[t * columns] ... ids[t * columns + columns - 1] of the table, one after the other. -> [N, columns*D]
// While a tape records and `grad` is not null, the gradient goes there; then ids must live until backward has run.
Tensor leaf_rows(Ctx& ctx, const RowSource& table, std::span<const int64_t> ids, int64_t columns, SparseGrad* grad);

}  // namespace ops
}  // namespace unha
