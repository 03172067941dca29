// SPDX-License-Identifier: Apache-2.0
// What is in a corpus: sources, sizes, tokens, and how much of the held-out text occurs in the training text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace unha::corpus {

struct SourceStats {
  std::string name;
  int64_t repeat = 1;
  int64_t documents = 0, bytes = 0;  // training, one pass; conversations count as documents
  int64_t chats = 0, eval_questions = 0;
  int64_t heldout_documents = 0, heldout_bytes = 0;
  std::optional<int64_t> tokens;  // one pass; absent if the corpus is not encoded
  std::optional<double> bytes_per_token;
  std::optional<double> overlap_13, overlap_8;  // share of the held-out runs of 13 and of 8 words that training has
};

struct CorpusStats {
  std::string name, digest, tokenizer;  // tokenizer: its SHA-256; empty if the corpus is not encoded
  std::vector<SourceStats> sources;
  SourceStats total;
  int64_t trained_tokens = 0;  // with repeats
};

CorpusStats corpus_stats(const std::filesystem::path& dir);

}  // namespace unha::corpus
