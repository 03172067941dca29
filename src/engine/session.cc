// SPDX-License-Identifier: Apache-2.0
#include "engine/session.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace unha {

namespace {
constexpr int64_t kPendingRows = 2;
}

Session::Session(Engine& engine, int64_t capacity, bool drafting)
    : engine_(engine),
      capacity_(capacity),
      cache_(engine.model().cache_layout(), engine.ctx().operand(), capacity),
      drafting_(drafting),
      pending_(static_cast<size_t>(drafting ? kPendingRows * engine.model().hidden_size() : 0)) {
  UNHA_CHECK(!drafting || engine.model().mtp_depth() > 0, "the model has no module to draft with");
  ids_.reserve(static_cast<size_t>(capacity));
}

void Session::grown(std::span<const int32_t> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  cache_.set_length(static_cast<int64_t>(ids_.size()));
}

void Session::keep(int64_t length) {
  UNHA_CHECK(length >= 0 && length <= this->length(), "keep {} of {} tokens", length, this->length());
  ids_.resize(static_cast<size_t>(length));
  cache_.set_length(length);
  // Row i depends on the id at i + 1, so the row of the last kept position has to wait again, without its state.
  if (length <= drafted_to_) {
    drafted_to_ = std::max<int64_t>(length - 1, 0);
    pending_rows_ = 0;
  } else {
    pending_rows_ = std::min(pending_rows_, length - drafted_to_);
  }
}

void Session::hold(Tensor hidden_row) {
  auto width = static_cast<size_t>(hidden_row.cols());
  UNHA_CHECK(pending_rows_ < kPendingRows, "the drafter was not fed");
  std::memcpy(pending_.data() + static_cast<size_t>(pending_rows_) * width, hidden_row.row<float>(0),
              width * sizeof(float));
  ++pending_rows_;
}

void Session::check_prompt(std::span<const int32_t> ids) const {
  if (ids.empty()) throw Error(ErrorCode::kInvalidArgument, "the prompt is empty", "give at least one token");
  if (static_cast<int64_t>(ids.size()) > capacity()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the prompt has {} tokens, the context holds {}", ids.size(), capacity()),
                "shorten the prompt or give a larger --ctx");
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= engine_.model().vocab_size()) {
      throw_error(ErrorCode::kInvalidArgument, "the prompt's id {} at position {} is outside of the vocabulary of {}",
                  ids[i], i, engine_.model().vocab_size());
    }
  }
}

Tensor Session::prefill(std::span<const int32_t> ids, int64_t* read, const std::function<bool()>& go_on) {
  check_prompt(ids);
  auto n = static_cast<int64_t>(ids.size());
  auto common =
      static_cast<int64_t>(std::mismatch(ids_.begin(), ids_.end(), ids.begin(), ids.end()).first - ids_.begin());
  int64_t reuse = std::min(common, n - 1);
  if (drafting_) reuse = std::max<int64_t>(std::min({reuse, common - 1, drafted_to_}), 0);
  keep(reuse);
  drafted_to_ = reuse;
  pending_rows_ = 0;
  if (read != nullptr) *read = 0;
  Tensor logits;
  for (int64_t begin = reuse; begin < n;) {
    if (go_on && !go_on()) return {};
    int64_t end = std::min(n, begin + engine_.prefill_chunk());
    engine_.begin();
    StepItem item{this, ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), end == n ? 1 : 0,
                  Tensor(), Tensor()};
    engine_.step({&item, 1});
    logits = item.logits;
    if (drafting_) {
      int64_t rows = end < n ? end - begin : end - begin - 1;  // those whose next id is known
      if (rows > 0) {
        engine_.mtp(*this, item.hidden.slice_rows(0, rows),
                    ids.subspan(static_cast<size_t>(begin) + 1, static_cast<size_t>(rows)), begin, false);
      }
      drafted_to_ = begin + rows;
      if (end == n) hold(item.hidden.slice_rows(end - begin - 1, 1));
    }
    if (read != nullptr) *read += end - begin;
    begin = end;
  }
  return logits;
}

Tensor Session::decode(std::span<const int32_t> ids) {
  engine_.begin();
  auto n = static_cast<int64_t>(ids.size());
  StepItem item{this, ids, n, Tensor(), Tensor()};
  engine_.step({&item, 1});
  for (int64_t r = 0; drafting_ && r < n; ++r) hold(item.hidden.slice_rows(r, 1));
  return item.logits;
}

Tensor Session::draft(int32_t next) {
  UNHA_CHECK(pending_rows_ > 0 && drafted_to_ + pending_rows_ == length(), "the drafter lost track: {} + {} of {}",
             drafted_to_, pending_rows_, length());
  engine_.begin();
  std::array<int32_t, kPendingRows> next_ids{};
  for (int64_t i = 0; i + 1 < pending_rows_; ++i) {
    next_ids[static_cast<size_t>(i)] = ids_[static_cast<size_t>(drafted_to_ + i) + 1];
  }
  next_ids[static_cast<size_t>(pending_rows_) - 1] = next;
  Tensor h(pending_.data(), DType::kF32, pending_rows_, engine_.model().hidden_size());
  Tensor logits =
      engine_.mtp(*this, h, std::span(next_ids).first(static_cast<size_t>(pending_rows_)), drafted_to_, true);
  drafted_to_ += pending_rows_;
  pending_rows_ = 0;
  return logits;
}

}  // namespace unha
