// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word: start from the symbols of its bytes, then merge the adjacent pair of the lowest rank,
// the leftmost first, until no pair has a rank. Words repeat, so a small cache of finished ones stands in front.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace unha {

// Open-addressing table of merges: (left id, right id) -> rank and merged id.
class MergeTable {
 public:
  struct Merge {
    int32_t rank;  // -1: no such merge
    int32_t id;
  };
  explicit MergeTable(size_t expected = 0);

  // False if the pair is there already.
  bool insert(int32_t left, int32_t right, Merge merge);
  Merge find(int32_t left, int32_t right) const {
    uint64_t key = pack(left, right);
    for (size_t slot = hash(key) & mask_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.key == key) return s.merge;
      if (s.key == kEmpty) return {-1, -1};
    }
  }
  size_t size() const { return size_; }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge{-1, -1};
  };
  static uint64_t pack(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static size_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(key ^ key >> 29);
  }

  std::vector<Slot> slots_;
  size_t mask_;
  size_t size_ = 0;
};

// Direct-mapped cache of short words. Not shared between threads.
class WordCache {
 public:
  WordCache();
  static constexpr size_t kMaxBytes = 30;
  static constexpr size_t kMaxIds = 8;

  struct Entry {
    uint8_t bytes = 0;
    uint8_t ids = 0;
    std::array<char, kMaxBytes> word;
    std::array<int32_t, kMaxIds> id;
  };
  // The slot of a word of 1 to kMaxBytes bytes; whether it holds that word is holds().
  Entry& slot(std::string_view word);
  static bool holds(const Entry& entry, std::string_view word) {
    return entry.bytes == word.size() && std::string_view(entry.word.data(), entry.bytes) == word;
  }

 private:
  std::vector<Entry> entries_;
};

class Bpe {
 public:
  // byte_ids: id of the symbol of each byte, -1 where the vocabulary has none.
  Bpe(std::array<int32_t, 256> byte_ids, MergeTable merges);
  // Makes encode try the whole word first (ignore_merges). Keys are bytes.
  void set_whole_words(std::unordered_map<std::string, int32_t> words) { whole_words_ = std::move(words); }

  struct Scratch {
    WordCache cache;
    struct Symbol {
      int32_t id;
      int32_t previous;
      int32_t next;
    };
    struct Candidate {
      int32_t rank;
      int32_t left;  // index of the left symbol
      int32_t left_id;
      int32_t right_id;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::vector<int32_t> ids;
  };

  // Appends the ids of `word` (any bytes). Error(kUnsupported) for a byte without a symbol.
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;

 private:
  void merge_short(std::vector<int32_t>& ids) const;
  void merge_long(Scratch& scratch) const;
  void merge_word(std::string_view word, Scratch& scratch) const;  // -> scratch.ids

  std::array<int32_t, 256> byte_ids_;
  MergeTable merges_;
  std::unordered_map<std::string, int32_t> whole_words_;
};

}  // namespace unha
