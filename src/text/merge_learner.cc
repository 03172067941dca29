// SPDX-License-Identifier: Apache-2.0
#include "text/merge_learner.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_map>

#include "base/error.h"

namespace unha {

namespace {

uint64_t pack(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
int32_t left_of(uint64_t pair) { return static_cast<int32_t>(pair >> 32); }
int32_t right_of(uint64_t pair) { return static_cast<int32_t>(pair & 0xFFFFFFFFu); }

struct PairHash {
  size_t operator()(uint64_t key) const {
    key *= 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(key ^ key >> 29);
  }
};

struct Pair {
  int64_t count = 0;
  std::vector<int32_t> words;  // where it occurs or once occurred
};

struct Candidate {
  int64_t count;
  uint64_t pair;
  // Highest count first, then the smallest ids, which is the smallest packed pair.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Learner {
 public:
  Learner(const std::vector<CountedWord>& words, std::vector<std::string> symbols, int64_t n_special)
      : n_special_(n_special) {
    result_.tokens = std::move(symbols);
    for (size_t id = 0; id < result_.tokens.size(); ++id) {
      ids_.emplace(result_.tokens[id], static_cast<int32_t>(id));
    }
    add_words(words);
  }

  LearnedMerges run(int64_t vocab_size, int64_t min_count) {
    for (const auto& [key, pair] : pairs_) heap_.push({pair.count, key});
    while (static_cast<int64_t>(result_.tokens.size()) < vocab_size && !heap_.empty()) {
      Candidate top = heap_.top();
      heap_.pop();
      int64_t count = pairs_[top.pair].count;
      if (count != top.count) {  // stale: a fresh entry is there if it has grown, and made here if it has shrunk
        if (count < top.count) heap_.push({count, top.pair});
        continue;
      }
      if (count < min_count) break;
      learn(top.pair);
    }
    return std::move(result_);
  }

 private:
  struct Word {
    size_t begin;
    size_t size;
    int64_t count;
  };

  void add_words(const std::vector<CountedWord>& words) {
    std::array<int32_t, 256> byte_id;
    byte_id.fill(-1);
    for (size_t id = static_cast<size_t>(n_special_); id < result_.tokens.size(); ++id) {
      UNHA_CHECK(result_.tokens[id].size() == 1, "merge learner: symbol {} is not one byte", id);
      byte_id[static_cast<uint8_t>(result_.tokens[id][0])] = static_cast<int32_t>(id);
    }
    for (const CountedWord& word : words) {
      if (word.bytes.size() < 2) continue;
      words_.push_back({symbols_.size(), word.bytes.size(), word.count});
      for (char byte : word.bytes) symbols_.push_back(byte_id[static_cast<uint8_t>(byte)]);
      const int32_t* s = symbols_.data() + words_.back().begin;
      for (size_t i = 0; i + 1 < words_.back().size; ++i) {
        Pair& pair = pairs_[pack(s[i], s[i + 1])];
        pair.count += word.count;
        note_word(pair, static_cast<int32_t>(words_.size() - 1));
      }
    }
  }

  static void note_word(Pair& pair, int32_t word) {
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  }

  void learn(uint64_t key) {
    std::string bytes = result_.tokens[left_of(key)] + result_.tokens[right_of(key)];
    auto [found, fresh] = ids_.emplace(bytes, static_cast<int32_t>(result_.tokens.size()));
    int32_t merged = found->second;
    if (merged < n_special_) return;  // text must not be able to spell a control token
    if (fresh) result_.tokens.push_back(bytes);
    result_.merges.emplace_back(left_of(key), right_of(key));
    std::vector<int32_t> words = std::move(pairs_[key].words);
    changed_.clear();
    for (int32_t word : words) merge_in_word(word, key, merged);
    Pair& done = pairs_[key];
    UNHA_CHECK(done.count == 0, "merge learner: {} occurrences left of a merged pair", done.count);
    for (uint64_t grown : changed_) heap_.push({pairs_[grown].count, grown});
  }

  // Replaces the pair left to right in one word and moves the counts of the pairs around it.
  void merge_in_word(int32_t index, uint64_t key, int32_t merged) {
    Word& word = words_[index];
    int32_t* s = symbols_.data() + word.begin;
    int32_t left = left_of(key);
    int32_t right = right_of(key);
    size_t out = 0;
    for (size_t i = 0; i < word.size;) {
      if (i + 1 >= word.size || s[i] != left || s[i + 1] != right) {
        s[out++] = s[i++];
        continue;
      }
      add(key, -word.count);
      if (out > 0) {
        add(pack(s[out - 1], left), -word.count);
        grow(pack(s[out - 1], merged), word.count, index);
      }
      if (i + 2 < word.size) {
        add(pack(right, s[i + 2]), -word.count);
        grow(pack(merged, s[i + 2]), word.count, index);
      }
      s[out++] = merged;
      i += 2;
    }
    word.size = out;
  }

  void add(uint64_t key, int64_t delta) { pairs_[key].count += delta; }
  void grow(uint64_t key, int64_t delta, int32_t word) {
    Pair& pair = pairs_[key];
    pair.count += delta;
    note_word(pair, word);
    changed_.push_back(key);
  }

  int64_t n_special_;
  LearnedMerges result_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<int32_t> symbols_;  // of all words, one after the other
  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair, PairHash> pairs_;
  std::priority_queue<Candidate> heap_;
  std::vector<uint64_t> changed_;
};

}  // namespace

LearnedMerges learn_merges(const std::vector<CountedWord>& words, std::vector<std::string> symbols, int64_t n_special,
                           int64_t vocab_size, int64_t min_count) {
  return Learner(words, std::move(symbols), n_special).run(vocab_size, min_count);
}

}  // namespace unha
