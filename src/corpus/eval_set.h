// SPDX-License-Identifier: Apache-2.0
// Test questions on disk (DIR/eval/NAME.jsonl) and the one judge of replies.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/chat.h"

namespace unha::corpus {

// Error(kCorrupt or kInvalidArgument) names file, row and key.
std::vector<EvalItem> read_eval_set(const std::filesystem::path& path);
std::string eval_row(const EvalItem& item);  // one line, newline included

// The reply's final answer (task.h) is one of the accepted ones, to the letter. For generated tasks the task's own
// verifier must agree: a row whose stated answer is wrong accepts nothing.
bool verify(const EvalItem& item, std::string_view reply);

// Right answers per (task, in_range, group), in order of first appearance.
struct EvalCell {
  std::string task;
  bool in_range = true;
  std::string group;
  int64_t right = 0, asked = 0;
};
class EvalTally {
 public:
  void add(const EvalItem& item, bool right);
  const std::vector<EvalCell>& cells() const { return cells_; }

 private:
  std::vector<EvalCell> cells_;
};

}  // namespace unha::corpus
