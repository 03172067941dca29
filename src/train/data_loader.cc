// SPDX-License-Identifier: Apache-2.0
#include "train/data_loader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace unha {

namespace {
constexpr uint64_t kFractions = uint64_t{1} << 40;  // apart from the shuffles' own indices
}

DataLoader::DataLoader(const Documents& documents, const PackConfig& config) : documents_(documents), config_(config) {
  UNHA_CHECK(config.rows > 0 && config.groups > 0 && config.rows % config.groups == 0, "{} rows in {} groups",
             config.rows, config.groups);
  UNHA_CHECK(config.sequence_length >= 2 && config.ahead >= 1, "rows of {}", config.sequence_length);
}

void DataLoader::order_epoch(int64_t epoch) {
  if (ordered_epoch_ == epoch) return;
  order_.clear();
  auto index = static_cast<uint64_t>(epoch);
  Rng fractions(config_.seed, Purpose::kShuffle, kFractions + index);
  for (int64_t i = 0; i < documents_.count(); ++i) {
    double weight = documents_.weight(i);
    auto times = static_cast<int64_t>(weight);
    double rest = weight - static_cast<double>(times);
    if (rest > 0 && fractions.uniform_double_at(static_cast<uint64_t>(i)) < rest) ++times;
    for (int64_t t = 0; t < times; ++t) order_.push_back(i);
  }
  Rng shuffle(config_.seed, Purpose::kShuffle, index);
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[shuffle.below(i)]);
  ordered_epoch_ = epoch;
}

void DataLoader::set_cursor(const Cursor& cursor) {
  bool inside = cursor.epoch >= 0 && cursor.index >= 0 && cursor.offset >= 0;
  if (inside) {
    order_epoch(cursor.epoch);
    inside = cursor.index <= static_cast<int64_t>(order_.size());
  }
  if (!inside) {
    throw_error(ErrorCode::kCorrupt, "cursor: epoch {}, document {}, token {} is not within the data", cursor.epoch,
                cursor.index, cursor.offset);
  }
  cursor_ = cursor;
  open_ = false;
  if (cursor.offset == 0) return;
  open_document();
  if (cursor.offset >= static_cast<int64_t>(document_.ids.size())) {
    throw_error(ErrorCode::kCorrupt, "cursor: token {} of a document of {}", cursor.offset, document_.ids.size());
  }
}

void DataLoader::open_document() {
  // An epoch may be empty by chance when every weight is below 1; a thousand of them are not.
  for (int tries = 0; !open_; ++tries) {
    UNHA_CHECK(tries < 100000, "no document to train on");
    order_epoch(cursor_.epoch);
    if (cursor_.index >= static_cast<int64_t>(order_.size())) {
      cursor_ = {cursor_.epoch + 1, 0, 0};
      continue;
    }
    documents_.read(order_[static_cast<size_t>(cursor_.index)], document_);
    if (document_.ids.size() < 2) {  // nothing to predict
      ++cursor_.index;
      continue;
    }
    open_ = true;
  }
}

void DataLoader::next_document() {
  ++cursor_.index;
  cursor_.offset = 0;
  open_ = false;
}

int64_t DataLoader::add_piece(PackedRows& rows, int64_t room) {
  const std::vector<int32_t>& ids = document_.ids;
  auto n = static_cast<int64_t>(ids.size());
  int64_t from = cursor_.offset;
  bool goes_on = from > 0;
  int64_t shift = goes_on ? from - 1 : 0;  // row j of the piece is token j + shift, but for the <bos> in front
  int64_t len = std::min(room, n - shift);
  auto begin = static_cast<int64_t>(rows.ids.size());
  for (int64_t j = 0; j < len; ++j) {
    bool bos = goes_on && j == 0;
    rows.ids.push_back(bos ? config_.bos : ids[static_cast<size_t>(j + shift)]);
    for (int64_t k = 0; k < config_.ahead; ++k) {
      auto t = static_cast<size_t>(j + shift + 1 + k);
      bool inside = t < ids.size();
      rows.next[static_cast<size_t>(k)].push_back(inside ? ids[t] : config_.bos);
      rows.targets[static_cast<size_t>(k)].push_back(inside && !bos && document_.learned[t] != 0 ? ids[t] : -1);
    }
  }
  if (config_.document_mask) rows.segments.push_back({begin, len, 0});
  cursor_.offset = shift + len;
  // The last token alone has been a target already.
  if (config_.whole_documents || n - cursor_.offset <= 1) {
    if (config_.whole_documents && cursor_.offset < n) ++cut_;
    next_document();
  }
  return len;
}

void DataLoader::fill_row(PackedRows& rows) {
  auto begin = static_cast<int64_t>(rows.ids.size());
  int64_t room = config_.sequence_length;
  while (room > 0) {
    open_document();
    bool first = room == config_.sequence_length;
    if (config_.whole_documents && !first && static_cast<int64_t>(document_.ids.size()) > room) break;
    room -= add_piece(rows, room);
  }
  if (!config_.document_mask) rows.segments.push_back({begin, static_cast<int64_t>(rows.ids.size()) - begin, 0});
}

std::vector<PackedRows> DataLoader::next() {
  std::vector<PackedRows> groups(static_cast<size_t>(config_.groups));
  for (PackedRows& group : groups) {
    group.next.resize(static_cast<size_t>(config_.ahead));
    group.targets.resize(static_cast<size_t>(config_.ahead));
    for (int64_t row = 0; row < config_.rows / config_.groups; ++row) fill_row(group);
  }
  return groups;
}

}  // namespace unha
