// SPDX-License-Identifier: Apache-2.0
// Exact duplicates and overlap: paragraphs seen before are dropped; held-out paragraphs that share a run of 13 words
// with the training text are found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

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

// Runs of `words` words, lower case, letters and digits only, within one paragraph. Held-out texts may be told apart by
// a group; a run belongs to the first group that has it.
class OverlapFinder {
 public:
  static constexpr int kWords = 13;

  explicit OverlapFinder(int words = kWords) : words_(words) {}
  void add_heldout(std::string_view text, size_t group = 0);
  void mark_training(std::string_view text);
  // True if a run of this paragraph was marked.
  bool overlaps(std::string_view paragraph) const;
  // The text without the paragraphs that overlap; adds their number to *removed.
  std::string without_overlap(std::string_view text, int64_t* removed) const;

  // Of each group's runs, how many there are and how many of them are in training.
  struct Share {
    int64_t runs = 0;
    int64_t marked = 0;
  };
  std::vector<Share> shares() const;

 private:
  struct Run {
    uint32_t group;
    bool marked;
  };
  int words_;
  size_t n_groups_ = 0;
  std::unordered_map<uint64_t, Run> runs_;
};

}  // namespace unha::corpus
