// SPDX-License-Identifier: Apache-2.0
// Every parameter of a model: name and shape as in the checkpoint, role, initial value, and the Weight that ops see.
// Modules ask for their parameters here when they are built; the store then fills them all from a source (views of the
// mapped file wherever a kernel can read them) or with initial values for training.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "model/source.h"
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
  Weight weight;               // 2-D: [shape[0], product of the rest]; a 1-D shape is one row
  bool always_packed = false;  // its panels are kept whatever is stored, and the stored bytes read once
  std::vector<Param*> parts;   // what may stand for it in a source (add_part)
  bool optional = false;       // a source may lack it: its value is then empty

  int64_t size() const;
  bool dense_grad() const { return role != ParamRole::kRouterBias && role != ParamRole::kTable; }
};

// How a bound parameter is held.
enum class Residence {
  kView,    // value is a view of the mapped file
  kStored,  // stored is a view of the mapped file, widened as it is used
  kOwned,   // value is a copy, widened to the class's real
};
Residence residence(ParamRole role, const StoredMatrix& matrix, Numerics numerics);

// A parameter and the tensor it is bound to.
struct Binding {
  Param* param = nullptr;
  const SourceTensor* tensor = nullptr;
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

  // The matrix `whole` in another form: bind() takes the parts where a source has all of them and not the whole, which
  // is then empty. Parts are never trained and not in by_name().
  Param& add_part(Param& whole, std::string name, std::vector<int64_t> shape);

  // Zero until bound or written by its owner.
  Constant& add_constant(std::string name, std::vector<int64_t> shape, DType dtype);
  const std::deque<Constant>& constants() const { return constants_; }

  // In order of name, which is the order of every reduction over tensors.
  const std::vector<Param*>& by_name() const { return by_name_; }
  Param* find(std::string_view name) const;
  int64_t total_parameters() const;

  // Which tensor each parameter gets, in order of name, the biggest part of a check without reading a weight: what does
  // not fit (missing, wrong shape, not a type of weights) is added to *misfits, a sentence each.
  std::vector<Binding> match(const ModelSource& source, std::vector<std::string>* misfits) const;
  // Error(kCorrupt) that lists them, if there are any.
  void refuse_misfits(const ModelSource& source, const std::vector<std::string>& misfits) const;

  // Takes every value from the source, which stays alive, or fails as refuse_misfits() says. Roles of operands are
  // views (Residence), whatever the format; the others become owned reals. read_all: reads the mapped bytes once, so
  // that the first steps do not wait for the disk. Progress is called with (done, all) bytes.
  void bind(std::shared_ptr<const ModelSource> source, Numerics numerics,
            const std::function<void(int64_t, int64_t)>& progress = {}, bool read_all = false);
  // The constants alone, for those who own the values. Every one is there with its shape and type.
  void read_constants(const Checkpoint& checkpoint);
  // Names in the source that no parameter asked for.
  std::vector<std::string> unused_names(const ModelSource& source) const;

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
  void check_constants(const ModelSource& source, std::vector<std::string>* misfits) const;
  void place(Param& param, const SourceTensor& tensor, Numerics numerics);

  std::deque<Param> params_;
  std::deque<Param> parts_;
  std::deque<Constant> constants_;
  std::vector<Param*> by_name_;
  std::vector<std::unique_ptr<std::byte[], void (*)(std::byte*)>> owned_;
  std::shared_ptr<const ModelSource> source_;
  std::byte* grads_ = nullptr;
  int64_t grad_elements_ = 0;
  int64_t owned_bytes_ = 0;
  Numerics numerics_ = Numerics::kF32;
};

}  // namespace unha
