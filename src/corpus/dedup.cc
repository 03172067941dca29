// SPDX-License-Identifier: Apache-2.0
// Hash sets of paragraphs and of word runs. 64-bit hashes: among a few million items a false match is one in a million.
#include "corpus/dedup.h"

#include <algorithm>

#include "corpus/clean.h"
#include "corpus/hash.h"

namespace unha::corpus {
namespace {

constexpr int64_t kShortWords = 3;
constexpr size_t kShortBytes = 24;

bool is_short(std::string_view collapsed) {
  return collapsed.size() < kShortBytes && std::count(collapsed.begin(), collapsed.end(), ' ') + 1 < kShortWords;
}

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || static_cast<uint8_t>(c) >= 0x80;
}

// Calls take(hash) for each run of `words` words of the paragraph. The hash of a run is a polynomial over the hashes of
// its words, rolled by one word at a time.
template <class Take>
void for_each_run(std::string_view paragraph, int words, const Take& take) {
  constexpr uint64_t kBase = 0x9E3779B97F4A7C15ull;
  std::vector<uint64_t> window(static_cast<size_t>(words));
  uint64_t leaving = 1;  // kBase to the power of words
  for (int i = 0; i < words; ++i) leaving *= kBase;
  uint64_t rolled = 0;
  int64_t n = 0;
  std::string word;
  for (size_t i = 0; i <= paragraph.size(); ++i) {
    if (i < paragraph.size() && is_word_byte(paragraph[i])) {
      char c = paragraph[i];
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      continue;
    }
    if (word.empty()) continue;
    uint64_t hash = text_hash(word);
    word.clear();
    uint64_t& slot = window[static_cast<size_t>(n % words)];
    rolled = rolled * kBase + hash - (n >= words ? slot * leaving : 0);
    slot = hash;
    if (++n >= words) take(mix_hash(rolled));
  }
}

}  // namespace

std::string ParagraphFilter::keep_new(std::string_view text) {
  std::string out;
  for (std::string_view paragraph : split_paragraphs(text)) {
    std::string collapsed = collapse_spaces(paragraph);
    if (!is_short(collapsed) && !seen_.insert(text_hash(collapsed)).second) {
      ++removed_;
      continue;
    }
    if (!out.empty()) out += "\n\n";
    out += paragraph;
  }
  return out;
}

void OverlapFinder::add_heldout(std::string_view text, size_t group) {
  n_groups_ = std::max(n_groups_, group + 1);
  for (std::string_view paragraph : split_paragraphs(text)) {
    for_each_run(paragraph, words_, [&](uint64_t run) {
      runs_.emplace(run, Run{static_cast<uint32_t>(group), false});
    });
  }
}

void OverlapFinder::mark_training(std::string_view text) {
  if (runs_.empty()) return;
  for (std::string_view paragraph : split_paragraphs(text)) {
    for_each_run(paragraph, words_, [&](uint64_t run) {
      if (auto at = runs_.find(run); at != runs_.end()) at->second.marked = true;
    });
  }
}

bool OverlapFinder::overlaps(std::string_view paragraph) const {
  bool found = false;
  for_each_run(paragraph, words_, [&](uint64_t run) {
    auto at = runs_.find(run);
    found = found || (at != runs_.end() && at->second.marked);
  });
  return found;
}

std::string OverlapFinder::without_overlap(std::string_view text, int64_t* removed) const {
  std::string out;
  for (std::string_view paragraph : split_paragraphs(text)) {
    if (overlaps(paragraph)) {
      ++*removed;
      continue;
    }
    if (!out.empty()) out += "\n\n";
    out += paragraph;
  }
  return out;
}

std::vector<OverlapFinder::Share> OverlapFinder::shares() const {
  std::vector<Share> shares(n_groups_);
  for (const auto& [hash, run] : runs_) {
    ++shares[run.group].runs;
    shares[run.group].marked += run.marked;
  }
  return shares;
}

}  // namespace unha::corpus
