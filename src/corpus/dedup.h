// SPDX-License-Identifier: Apache-2.0
// Exact duplicates and overlap: paragraphs seen before are dropped; held-out paragraphs that share a run of 13 words
// with the training text are found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace unha::corpus {

// Keeps the first of equal paragraphs (white space collapsed) over all texts it is shown, in order. Headings and the
// like, of fewer than three words and 24 bytes, are always kept.
class ParagraphFilter {
 public:
  std::string keep_new(std::string_view text);
  int64_t removed() const { return removed_; }

 private:
  std::unordered_set<uint64_t> seen_;
  int64_t removed_ = 0;
};

// Runs of kWords words, lower case, letters and digits only, within one paragraph.
class OverlapFinder {
 public:
  static constexpr int kWords = 13;

  void add_heldout(std::string_view text);
  void mark_training(std::string_view text);
  // True if a run of this paragraph was marked.
  bool overlaps(std::string_view paragraph) const;
  // The text without the paragraphs that overlap.
  std::string without_overlap(std::string_view text, int64_t* removed) const;
  // Of the held-out runs, how many are in training, and how many there are.
  int64_t runs_marked() const;
  int64_t runs() const { return static_cast<int64_t>(runs_.size()); }

 private:
  std::unordered_map<uint64_t, bool> runs_;  // held-out run -> seen in training
};

}  // namespace unha::corpus
