// SPDX-License-Identifier: Apache-2.0
// A Tensor is a view of a matrix in somebody else's memory: pointer, element type, rows, columns, row stride. It never
// owns. Four things own memory: mapped files, ParamStore, the step's Arena and SequenceCache. A vector [D] is one row.
//
// While a tape records, `slot` says where the gradient lies: views of one allocation share it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "tensor/dtype.h"

namespace unha {

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType kValue = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType kValue = DType::kF64;
};
template <>
struct DTypeOf<uint16_t> {  // bf16 bits
  static constexpr DType kValue = DType::kBF16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType kValue = DType::kI32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType kValue = DType::kI64;
};

// Gradient storage of one allocation, owned by the tape (ops/tape.h).
struct GradSlot {
  std::byte* value_base = nullptr;
  std::byte* grad_base = nullptr;  // null until a consumer adds to it
  size_t bytes = 0;
};

class Tensor {
 public:
  Tensor() = default;
  Tensor(void* data, DType dtype, int64_t rows, int64_t cols, int64_t stride, GradSlot* slot = nullptr)
      : data_(static_cast<std::byte*>(data)), slot_(slot), rows_(rows), cols_(cols), stride_(stride), dtype_(dtype) {}
  // Dense: stride == cols.
  Tensor(void* data, DType dtype, int64_t rows, int64_t cols) : Tensor(data, dtype, rows, cols, cols) {}

  bool empty() const { return data_ == nullptr; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }  // elements from one row to the next
  int64_t size() const { return rows_ * cols_; }
  DType dtype() const { return dtype_; }
  bool dense() const { return stride_ == cols_; }
  GradSlot* slot() const { return slot_; }
  std::byte* bytes() const { return data_; }

  // First element; T must match the dtype (uint16_t for bf16).
  template <class T>
  T* data() const {
    UNHA_DCHECK(DTypeOf<T>::kValue == dtype_, "tensor of {} read as {}", dtype_name(dtype_), dtype_name(DTypeOf<T>::kValue));
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  T* row(int64_t r) const {
    return data<T>() + r * stride_;
  }

  // Views; they share the gradient slot.
  Tensor slice_cols(int64_t begin, int64_t cols) const {
    UNHA_DCHECK(begin >= 0 && begin + cols <= cols_, "columns [{}, {}) of {}", begin, begin + cols, cols_);
    return {data_ + begin * dtype_bytes(dtype_), dtype_, rows_, cols, stride_, slot_};
  }
  Tensor slice_rows(int64_t begin, int64_t rows) const {
    UNHA_DCHECK(begin >= 0 && begin + rows <= rows_, "rows [{}, {}) of {}", begin, begin + rows, rows_);
    return {data_ + begin * stride_ * dtype_bytes(dtype_), dtype_, rows, cols_, stride_, slot_};
  }

 private:
  std::byte* data_ = nullptr;
  GradSlot* slot_ = nullptr;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t stride_ = 0;
  DType dtype_ = DType::kF32;
};

}  // namespace unha
