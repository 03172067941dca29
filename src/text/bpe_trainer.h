// SPDX-License-Identifier: Apache-2.0
// Trains our own tokenizer: byte-level BPE with single digits, CJK runs and the V3 word pattern, control tokens at ids
// 0 to 11, the 256 bytes behind them. The result is a tokenizer.json that other tools read; equal texts give equal
// bytes, whatever the number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/threads.h"

namespace unha {

class BpeTrainer {
 public:
  // The smallest vocabulary: control tokens and bytes, no merge.
  static constexpr int64_t kMinVocab = 12 + 256;
  static constexpr int64_t kMaxVocab = 1 << 20;

  // threads must outlive the trainer.
  explicit BpeTrainer(Threads& threads);
  ~BpeTrainer();

  // Counts the words of a text. Each line, its newline included, is an item of its own: pass whole lines.
  // `name` is what errors call it; text that is not UTF-8 is Error(kInvalidArgument).
  void add_text(std::string_view text, const std::string& name);
  int64_t bytes() const;           // of text so far
  int64_t distinct_words() const;  // so far

  // tokenizer.json. Fewer tokens than vocab_size if no pair occurs twice any more; Error(kInvalidArgument) if there was
  // no text at all or vocab_size is out of range.
  std::string train(int64_t vocab_size) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unha
