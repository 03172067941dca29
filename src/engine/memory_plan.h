// SPDX-License-Identifier: Apache-2.0
// What a model takes: memory, known before a weight is read, and the bytes that each token then reads of it.
#pragma once

#include <span>
#include <string>

#include "model/model.h"

namespace unha {

// What a session of the whole context will need, from shapes and stored formats alone.
struct MemoryPlan {
  int64_t mapped = 0;   // weights used where the files hold them: in memory they are pages of the page cache
  int64_t for_now = 0;  // of these, read only to be packed: their pages may go afterwards
  int64_t owned = 0;    // weights copied, widened: norms and the like
  int64_t packed = 0;   // panels for the kernels, at most
  int64_t cache = 0;    // one session
  int64_t step = 0;     // activations of one step, a bound from above
  int64_t program = 0;  // itself, and the tokenizer's tables, from experience
  // What resident memory can come to: pages that were read to be packed go only when something else wants them.
  int64_t resident() const { return needed(false) + for_now; }
  // With allow_mmap, what is mapped need not stay in memory.
  int64_t needed(bool allow_mmap) const {
    return (allow_mmap ? 0 : mapped - for_now) + owned + packed + cache + step + program;
  }
};

struct PlanInput {
  Numerics numerics = Numerics::kF32;
  int64_t context = 0;  // positions of the session
  int64_t chunk = 0;    // tokens of a prompt per step
  int threads = 0;      // 0: all cores
};

// The model needs no values yet: `bindings` are those of its params().match(source), which leave out what does not fit.
MemoryPlan plan_memory(const Model& model, const ModelSource& source, std::span<const Binding> bindings,
                       const PlanInput& input);

// Error(kResource) with the numbers if the plan needs more than `limit` bytes; limit < 0: unknown, all fits.
void refuse_too_large(const MemoryPlan& plan, int64_t limit, bool allow_mmap, int64_t context, const std::string& what);

// Bytes that decoding one token at a position reads of a bound model: weights in the form that the kernels read (panels
// or stored formats with their scales; of the routed experts the chosen share), rows of embedding and Engram, the
// cache.
double decode_bytes(const Model& model, DType operand, double position);
// Of these, those that do not depend on the position: a walk over all parameters.
double decode_weight_bytes(const Model& model, DType operand);

int64_t available_memory();  // bytes; -1: unknown
int64_t peak_rss_bytes();

}  // namespace unha
