// SPDX-License-Identifier: Apache-2.0
// Documents packed into batches. The order of an epoch is a shuffle drawn from (seed, epoch) alone, and what a step
// sees follows from the seed and the step; the cursor says where that is, so that resuming needs no replay.
//
// Every row starts with <bos>. A document that does not fit goes on in the next row behind a <bos> of its own, whose
// prediction is not learned: the row before has learned it, since targets look beyond a row's end. So every learned
// token is a target exactly once. With the document mask every piece is a segment of its own; without it a row is one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/segment.h"
#include "train/documents.h"

namespace unha {

// One forward and backward pass: the rows of one gradient group.
struct PackedRows {
  std::vector<int32_t> ids;  // [N]
  std::vector<Segment> segments;
  // [k][N], k < ahead: the id k + 1 further on (<bos> where there is none), and the same as a target (-1: not learned).
  std::vector<std::vector<int32_t>> next;
  std::vector<std::vector<int32_t>> targets;
};

struct Cursor {
  int64_t epoch = 0;
  int64_t index = 0;   // into the epoch's order
  int64_t offset = 0;  // tokens of that document already used
};

struct PackConfig {
  int64_t sequence_length = 0;
  int64_t rows = 0;    // of a batch
  int64_t groups = 1;  // divides rows
  int64_t ahead = 1;   // 1 + MTP depth
  bool document_mask = true;
  bool whole_documents = false;  // chats: never cut but at sequence_length; rows may be shorter
  int32_t bos = 0;
  uint64_t seed = 0;
};

class DataLoader {
 public:
  DataLoader(const Documents& documents, const PackConfig& config);

  std::vector<PackedRows> next();  // one per gradient group

  Cursor cursor() const { return cursor_; }
  void set_cursor(const Cursor& cursor);          // Error(kCorrupt) if it is not within the data
  int64_t cut_documents() const { return cut_; }  // whole documents that were longer than a row

 private:
  void order_epoch(int64_t epoch);
  void open_document();
  void next_document();
  void fill_row(PackedRows& rows);
  int64_t add_piece(PackedRows& rows, int64_t room);

  const Documents& documents_;
  PackConfig config_;
  Cursor cursor_;
  std::vector<int64_t> order_;
  int64_t ordered_epoch_ = -1;
  Document document_;  // the one at the cursor
  bool open_ = false;
  int64_t cut_ = 0;
};

}  // namespace unha
