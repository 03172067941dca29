// SPDX-License-Identifier: Apache-2.0
// Questions on facts: meanings, opposites, synonyms, kinds and example sentences from WordNet; symbols and numbers of
// the chemical elements from dict-elements. Nine in ten facts are asked in training, in several wordings; the tenth
// (by hash) only in the test, and one wording is kept for the test alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "corpus/chat.h"

namespace unha::corpus {

struct FactOptions {
  int64_t min_count = 5;  // senses seen at least so often in WordNet's tagged texts
  int64_t limit = 12000;  // the most frequent ones
  int64_t max_answer_bytes = 160;
  int64_t phrasings = 4;  // wordings of each fact in training
  int64_t eval = 500;     // test questions of each group
};

struct FactSet {
  std::vector<Chat> chats;
  std::vector<EvalItem> eval;
};

// kind: definition opposite synonym kind_of sentence element. root: the unpacked package.
FactSet generate_facts(const std::string& kind, const std::filesystem::path& root, const FactOptions& options);
const std::vector<std::string>& fact_names();
const char* fact_package(const std::string& kind);

bool is_fact_held_out(const std::string& kind, const std::string& key);

}  // namespace unha::corpus
