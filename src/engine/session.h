// SPDX-License-Identifier: Apache-2.0
// One timeline of tokens on an engine: what has been read, its caches, and, where a drafter is wanted, the state of
// multi-token prediction.
//
// The drafter's row i takes the trunk's state of position i and the id at i + 1. Rows [0, drafted_to_) have been run;
// the states of the positions behind them, at most two, wait in pending_ until the id that follows is known.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace unha {

class Session {
 public:
  // drafting: feed the model's MTP module as tokens are confirmed (the model must have one).
  Session(Engine& engine, int64_t capacity, bool drafting = false);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int64_t length() const { return cache_.length(); }
  int64_t capacity() const { return capacity_; }
  const std::vector<int32_t>& ids() const { return ids_; }
  bool drafting() const { return drafting_; }

  // Makes the timeline hold exactly `ids`: what it holds already of their beginning is kept, the rest is read in
  // chunks. Returns the logits after the last id, [1, V]; empty if `go_on` (asked before each chunk) said false.
  // read: how many tokens were run. Error(kInvalidArgument) if ids are empty, out of range or more than the capacity.
  Tensor prefill(std::span<const int32_t> ids, int64_t* read = nullptr, const std::function<bool()>& go_on = {});
  // Reads one or two ids; logits after each, [n, V].
  Tensor decode(std::span<const int32_t> ids);
  // Logits of the drafter for the position behind `next`, where `next` follows what the timeline holds. [1, V]
  Tensor draft(int32_t next);
  // Forgets all from position `length` on. After decode() of two ids this drops the rejected one.
  void keep(int64_t length);

 private:
  friend class Engine;
  void check_prompt(std::span<const int32_t> ids) const;
  void grown(std::span<const int32_t> ids);
  void hold(Tensor hidden_row);

  Engine& engine_;
  int64_t capacity_;
  SequenceCache cache_;
  bool drafting_;
  std::vector<int32_t> ids_;  // what the cache holds
  int64_t drafted_to_ = 0;
  std::vector<float> pending_;  // [2, D]
  int64_t pending_rows_ = 0;
};

}  // namespace unha
