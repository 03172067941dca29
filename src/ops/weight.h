// SPDX-License-Identifier: Apache-2.0
// A parameter as the ops see it: the value that the forward uses, where its gradient goes, and what a kernel packed
// from it. The owner (ParamStore) keeps value and gradient memory; the optimizer bumps `version` when it writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "quant/stored_matrix.h"
#include "tensor/tensor.h"

namespace unha {

// Panels packed from a weight, kept while its version lasts. One weight may have several forms (forward, latent ...).
struct PackedForm {
  uint64_t version = 0;  // of the weight when packed; 0: never
  std::vector<std::byte> storage;
  std::byte* data = nullptr;  // 64-byte aligned within storage

  // Room for `bytes`, 64-byte aligned; contents are lost.
  std::byte* resize(size_t bytes) {
    if (storage.size() < bytes + 64) storage = std::vector<std::byte>(bytes + 64);
    auto address = reinterpret_cast<uintptr_t>(storage.data());
    data = storage.data() + (64 - address % 64) % 64;
    return data;
  }
};

struct Weight {
  // [out, in] for linear layers, [1, D] for vectors, [V, D] for embeddings and tables. f32 or bf16 (widened exactly
  // where needed); f64 in class f64.
  Tensor value;
  // As its file stores it, where those bytes cannot be a tensor of f32 or bf16: another format, scales beside it, or
  // not aligned. value is then empty and kernels widen from here, panel by panel (ops/panels.h); there is no gradient.
  StoredMatrix stored;
  Tensor grad;  // same shape, the class's real; empty: no gradient wanted
  uint64_t version = 1;
  mutable PackedForm forms[2];  // [0]: linear's or MLA's W_UK panels; [1]: MLA's W_UV panels

  bool empty() const { return value.empty() && stored.empty(); }
  int64_t rows() const { return stored.empty() ? value.rows() : stored.rows; }
  int64_t cols() const { return stored.empty() ? value.cols() : stored.cols; }
  bool wants_grad() const { return !grad.empty(); }
};

}  // namespace unha
