// SPDX-License-Identifier: Apache-2.0
// Every parameter of a model: name and shape as in the checkpoint, role, initial value, and the Weight that ops see.
// Modules ask for their parameters here when they are built; the store then fills them all from a checkpoint (views of
// the mapped file where the bytes fit, copies where not) or with initial values for training.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "kernels/isa.h"
#include "ops/weight.h"

namespace unha {

// What a parameter is decides how it is stored, rounded and trained (numerics.md section 3, training.md section 5.5).
enum class ParamRole {
  kMatrix,      // of a linear layer: operand type of the class; AdamW with weight decay
  kEmbedding,   // rows looked up: operand type; AdamW without decay
  kHead,        // output head: operand type; AdamW with decay
  kVector,      // norms, biases, convolution taps: real; no decay
  kRouter,      // router matrix: real in every class; AdamW with decay
  kRouterBias,  // moved by load, never by gradient: real
  kTable,       // Engram rows: operand type; RowAdam on touched rows
};

struct Init {
  enum class Kind { kZeros, kOnes, kNormal } kind = Kind::kZeros;
  double std = 0;
};

struct Param {
  std::string name;
  std::vector<int64_t> shape;  // as in the checkpoint
  ParamRole role = ParamRole::kMatrix;
  Init init;
  Weight weight;  // 2-D: [shape[0], product of the rest]; a 1-D shape is one row

  int64_t size() const;
  bool dense_grad() const { return role != ParamRole::kRouterBias && role != ParamRole::kTable; }
};

// Integers that belong to a model and are never trained: Engram's map, multipliers and primes.
struct Constant {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype = DType::kI64;
  std::vector<std::byte> bytes;

  template <class T>
  std::span<T> values() {
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

class ParamStore {
 public:
  ParamStore() = default;
  ParamStore(const ParamStore&) = delete;
  ParamStore& operator=(const ParamStore&) = delete;

  // The reference stays valid for the store's life. Two parameters of one name are our own mistake.
  Param& add(std::string name, std::vector<int64_t> shape, ParamRole role, Init init);

  // Zero until bound or written by its owner.
  Constant& add_constant(std::string name, std::vector<int64_t> shape, DType dtype);
  const std::deque<Constant>& constants() const { return constants_; }

  // In order of name, which is the order of every reduction over tensors.
  const std::vector<Param*>& by_name() const { return by_name_; }
  Param* find(std::string_view name) const;
  int64_t total_parameters() const;

  // Takes every value from the checkpoint. Collects all misfits (missing, wrong shape, type that cannot be widened)
  // into one Error(kCorrupt). `shared`: keeps the mapped bytes alive. Progress is called with (done, all) bytes.
  // Types: operand roles stay as stored (bf16 or f32 views, others widened to f32 copies); other roles become real.
  void bind(std::shared_ptr<const Checkpoint> shared, Numerics numerics,
            const std::function<void(int64_t, int64_t)>& progress = {});
  // The constants alone, for those who own the values. Every one is there with its shape and type.
  void read_constants(const Checkpoint& checkpoint);
  // Names in the checkpoint that no parameter asked for.
  std::vector<std::string> unused_names(const Checkpoint& checkpoint) const;

  // Owned memory for all values: what training writes and saves. With gradients for all but tables and router biases,
  // in one flat buffer (see grads()). Values are not set.
  void allocate(Numerics numerics, bool with_grads);
  // Initial values of training into `out` [size], real: a pure function of (seed, name, init).
  static void initial_values(const Param& param, uint64_t seed, float* out);
  static void initial_values(const Param& param, uint64_t seed, double* out);

  // The flat gradient buffer, in order of name. Points the weights at `buffer` (of grad_elements() reals) instead.
  std::byte* grads() const { return grads_; }
  int64_t grad_elements() const { return grad_elements_; }
  void use_grads(std::byte* buffer);

  int64_t owned_bytes() const { return owned_bytes_; }
  DType storage(ParamRole role, Numerics numerics) const;

 private:
  std::byte* own(int64_t bytes);

  const Constant* find_constant(std::string_view name) const;

  std::deque<Param> params_;
  std::deque<Constant> constants_;
  std::vector<Param*> by_name_;
  std::vector<std::unique_ptr<std::byte[], void (*)(std::byte*)>> owned_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::byte* grads_ = nullptr;
  int64_t grad_elements_ = 0;
  int64_t owned_bytes_ = 0;
  Numerics numerics_ = Numerics::kF32;
};

}  // namespace unha
