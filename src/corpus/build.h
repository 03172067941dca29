// SPDX-License-Identifier: Apache-2.0
// Building a corpus from a recipe into a folder:
//   text/NAME.txt      training text of each source; documents are separated by two blank lines ("\n\n\n"), which never
//                      occur within a document. What a tokenizer is trained on (conversations are here as plain text).
//   chats/NAME.jsonl   training conversations, {"messages":[{"role","content"}]}
//   chats.jsonl        the conversations for supervised fine-tuning, of all sources, shuffled
//   heldout/NAME.txt   held-out text, plain, for `unha eval bpb`
//   eval/NAME.jsonl    test questions: task, question, accepted answers, in_range, group, choices
//   NOTICE, licenses/  every source, its package, version and licence
//   corpus.json        the record: recipe, packages, counts, SHA-256 of every file, one digest over all
//   train/             token shards, made from these files by encode.h
// Equal packages and inputs give equal bytes: no time, host or path enters.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "corpus/recipe.h"

namespace unha::corpus {

inline constexpr const char* kDocumentSeparator = "\n\n\n";

struct Progress {
  double fraction = 0.0;  // of the whole job, by a rough weight of its steps
  std::string step;       // "wordnet: extracting"
};
using ProgressSink = std::function<void(const Progress&)>;

struct BuildOptions {
  std::filesystem::path out;
  std::filesystem::path cache;  // of packages; empty: OUT/.packages
  ProgressSink progress;        // may be empty
};

struct SourceCounts {
  std::string name;
  int64_t documents = 0, bytes = 0;
  int64_t heldout_documents = 0, heldout_bytes = 0;
  int64_t duplicate_paragraphs = 0, overlapping_paragraphs = 0;
  int64_t chats = 0, chat_bytes = 0, sft_chats = 0, eval_questions = 0;
  int64_t repeat = 1;
};

struct BuildResult {
  std::string digest;
  std::vector<SourceCounts> sources;
};

// Error(kInvalidArgument) if OUT is neither empty nor a corpus, or if the corpus would be empty. A build that fails
// leaves an earlier corpus in OUT as it was.
BuildResult build_corpus(const Recipe& recipe, const BuildOptions& options);

}  // namespace unha::corpus
