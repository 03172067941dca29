// SPDX-License-Identifier: Apache-2.0
#include "text/bpe.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace unha {

namespace {
constexpr size_t kCacheSlots = 1 << 14;  // 64 bytes each
constexpr size_t kShortWord = 48;        // up to here a scan for the best pair beats the heap

uint64_t hash_bytes(std::string_view word) {
  uint64_t h = word.size() * 0x9E3779B97F4A7C15u;
  size_t i = 0;
  for (; i + 8 <= word.size(); i += 8) {
    uint64_t chunk;
    std::memcpy(&chunk, word.data() + i, 8);
    h = (h ^ chunk) * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
  }
  uint64_t tail = 0;
  std::memcpy(&tail, word.data() + i, word.size() - i);
  h = (h ^ tail) * 0xD6E8FEB86659FD93u;
  return h ^ h >> 32;
}
}  // namespace

MergeTable::MergeTable(size_t expected) {
  size_t slots = 16;
  while (slots < expected * 2) slots *= 2;
  slots_.resize(slots);
  mask_ = slots - 1;
}

bool MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  UNHA_CHECK((size_ + 1) * 2 <= slots_.size(), "MergeTable: more merges than announced");
  uint64_t key = pack(left, right);
  size_t slot = hash(key) & mask_;
  while (slots_[slot].key != kEmpty) {
    if (slots_[slot].key == key) return false;
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = {key, merge};
  ++size_;
  return true;
}

WordCache::WordCache() : entries_(kCacheSlots) {}

WordCache::Entry& WordCache::slot(std::string_view word) { return entries_[hash_bytes(word) & (kCacheSlots - 1)]; }

Bpe::Bpe(std::array<int32_t, 256> byte_ids, MergeTable merges) : byte_ids_(byte_ids), merges_(std::move(merges)) {}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const {
  if (word.size() == 1 && byte_ids_[static_cast<uint8_t>(word[0])] >= 0 && whole_words_.empty()) {
    out.push_back(byte_ids_[static_cast<uint8_t>(word[0])]);
    return;
  }
  if (word.empty()) return;
  if (word.size() > WordCache::kMaxBytes) {
    merge_word(word, scratch);
    out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
    return;
  }
  WordCache::Entry& entry = scratch.cache.slot(word);
  if (!WordCache::holds(entry, word)) {
    merge_word(word, scratch);
    if (scratch.ids.size() > WordCache::kMaxIds) {
      out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
      return;
    }
    entry.bytes = static_cast<uint8_t>(word.size());
    entry.ids = static_cast<uint8_t>(scratch.ids.size());
    std::copy(word.begin(), word.end(), entry.word.begin());
    std::copy(scratch.ids.begin(), scratch.ids.end(), entry.id.begin());
  }
  out.insert(out.end(), entry.id.begin(), entry.id.begin() + entry.ids);
}

void Bpe::merge_word(std::string_view word, Scratch& scratch) const {
  scratch.ids.clear();
  if (!whole_words_.empty()) {
    auto found = whole_words_.find(std::string(word));
    if (found != whole_words_.end()) {
      scratch.ids.push_back(found->second);
      return;
    }
  }
  if (word.size() > (size_t{1} << 30)) throw_error(ErrorCode::kResource, "a word of {} bytes", word.size());
  for (char c : word) {
    int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id < 0) {
      throw_error(ErrorCode::kUnsupported, "the tokenizer's vocabulary has no symbol for byte 0x{:02X}",
                  static_cast<uint8_t>(c));
    }
    scratch.ids.push_back(id);
  }
  if (scratch.ids.size() <= kShortWord) {
    merge_short(scratch.ids);
  } else {
    merge_long(scratch);
  }
}

// Quadratic, without any bookkeeping. ranks[i] belongs to the pair (ids[i], ids[i + 1]).
void Bpe::merge_short(std::vector<int32_t>& ids) const {
  std::array<MergeTable::Merge, kShortWord> merge;
  size_t n = ids.size();
  for (size_t i = 0; i + 1 < n; ++i) merge[i] = merges_.find(ids[i], ids[i + 1]);
  for (;;) {
    size_t best = n;
    int32_t best_rank = INT32_MAX;
    for (size_t i = 0; i + 1 < n; ++i) {
      if (merge[i].rank >= 0 && merge[i].rank < best_rank) {
        best = i;
        best_rank = merge[i].rank;
      }
    }
    if (best == n) break;
    ids[best] = merge[best].id;
    --n;
    for (size_t i = best + 1; i < n; ++i) ids[i] = ids[i + 1];
    for (size_t i = best + 1; i + 1 < n; ++i) merge[i] = merge[i + 1];
    if (best > 0) merge[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < n) merge[best] = merges_.find(ids[best], ids[best + 1]);
  }
  ids.resize(n);
}

// A heap of candidate pairs over a linked list; a candidate whose symbols have changed since is dropped.
void Bpe::merge_long(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  auto n = static_cast<int32_t>(scratch.ids.size());
  symbols.clear();
  heap.clear();
  for (int32_t i = 0; i < n; ++i) symbols.push_back({scratch.ids[i], i - 1, i + 1 < n ? i + 1 : -1});
  auto later = [](const Scratch::Candidate& a, const Scratch::Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  };
  auto offer = [&](int32_t left) {
    int32_t right = left < 0 ? -1 : symbols[left].next;
    if (right < 0) return;
    MergeTable::Merge merge = merges_.find(symbols[left].id, symbols[right].id);
    if (merge.rank < 0) return;
    heap.push_back({merge.rank, left, symbols[left].id, symbols[right].id});
    std::push_heap(heap.begin(), heap.end(), later);
  };
  for (int32_t i = 0; i < n; ++i) offer(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Scratch::Candidate top = heap.back();
    heap.pop_back();
    Scratch::Symbol& left = symbols[top.left];
    if (left.id != top.left_id || left.next < 0 || symbols[left.next].id != top.right_id) continue;
    int32_t gone = left.next;
    left.id = merges_.find(top.left_id, top.right_id).id;
    left.next = symbols[gone].next;
    symbols[gone].id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.left;
    offer(left.previous);
    offer(top.left);
  }
  scratch.ids.clear();
  for (int32_t i = 0; i >= 0; i = symbols[i].next) scratch.ids.push_back(symbols[i].id);
}

}  // namespace unha
