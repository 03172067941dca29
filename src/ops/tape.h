// SPDX-License-Identifier: Apache-2.0
// The tape remembers in which order ops ran and how each goes back. An op records one closure, which adds into the
// gradients of its inputs and parameters; the tape runs them in reverse.
//
// Gradients of activations are taken from a pool when a consumer first adds to them, zeroed, and go back to the pool
// as soon as the op that made the value has run backward, so that memory holds few of them at once.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "tensor/tensor.h"

namespace unha {

// Where a step's time goes, by op. An op's forward is the time since the op before it was recorded.
struct OpTime {
  double forward_s = 0;
  double backward_s = 0;
  int64_t count = 0;
};
using StepProfile = std::map<std::string, OpTime>;

class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Gives the tensor (a whole allocation) a gradient slot. Ctx::make calls this.
  Tensor track(Tensor value);

  // `back` runs once, in reverse order of recording. It captures views; it must not throw.
  void record(const char* name, std::function<void()> back);

  // The gradient of x: same shape and stride, zero if nothing has been added yet. x must be tracked.
  Tensor grad(Tensor x);
  // Whether anything has been added to x's gradient: an op may skip its backward if not.
  bool has_grad(Tensor x) const { return x.slot() != nullptr && x.slot()->grad_base != nullptr; }

  // Runs everything recorded, in reverse, then clears. Losses have added their seeds when they ran (ops/head_loss.h).
  void backward();
  // Forgets what was recorded; memory stays for the next step.
  void clear();

  // Times go there from now on; null: none are taken.
  void set_profile(StepProfile* profile);

  int64_t recorded() const { return static_cast<int64_t>(steps_.size()); }
  size_t pool_bytes() const { return pool_bytes_; }

 private:
  struct Step {
    const char* name;
    std::function<void()> back;
    size_t slots_end;  // slots made up to here belong to this or earlier steps
  };
  struct Free {
    void operator()(std::byte* p) const;
  };
  using Block = std::unique_ptr<std::byte[], Free>;

  void release(GradSlot& slot);

  std::vector<Step> steps_;
  std::deque<GradSlot> slots_;
  std::multimap<size_t, Block> pool_;                    // free blocks by size
  std::map<std::byte*, std::pair<size_t, Block>> live_;  // blocks in use, by address
  size_t pool_bytes_ = 0;
  StepProfile* profile_ = nullptr;
  std::chrono::steady_clock::time_point last_;  // while profiling: when the op before ended
};

}  // namespace unha
