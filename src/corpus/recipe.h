// SPDX-License-Identifier: Apache-2.0
// A corpus recipe: which sources, what to take from them, how often. Every key is checked; unknown keys, and keys that
// do not belong to the kind of a source, are errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace unha::corpus {

enum class SourceKind { kPackage, kFolder, kJsonl, kChatJsonl, kGenerate, kFacts, kSmalltalk };
enum class Lines {
  kKeep,  // as in the source
  kJoin,  // the lines of a prose paragraph become one
  kMix,   // joined in half of the documents, chosen by hash
};

struct SourceSpec {
  std::string name;  // unique; names the output files
  SourceKind kind = SourceKind::kFolder;
  std::string license;  // of the text, for NOTICE; required for packages
  std::string notice;   // who is to be thanked or named, for NOTICE
  int64_t repeat = 1;   // times in train.bin

  // Text: packages, folders, jsonl.
  std::string package;
  std::string extract = "text";
  std::filesystem::path path;
  std::string field = "text";
  std::vector<std::string> include, exclude;
  Lines lines = Lines::kKeep;
  int64_t split_bytes = 0;  // long documents are cut at paragraphs into pieces of about this size; 0: never
  int64_t max_bytes = 0;    // of training text, a sample of documents by hash; 0: all
  int64_t min_document_bytes = 1;
  bool hold_out = false;          // all of it is held out: nothing is trained on
  double heldout_percent = -1.0;  // of documents; negative: the recipe's

  // Conversations: generate, facts, smalltalk, chat_jsonl.
  std::string task;
  int64_t count = 0;
  int64_t eval = 0;
  int64_t sft = -1;       // how many of them go into chats.jsonl as well; negative: all
  int64_t min_count = 5;  // facts, see FactOptions
  int64_t limit = 12000;
  int64_t phrasings = 4;
  int64_t max_answer_bytes = 160;

  bool is_text() const {
    return kind == SourceKind::kPackage || kind == SourceKind::kFolder || kind == SourceKind::kJsonl;
  }
};

struct Recipe {
  std::string name;
  int64_t seed = 0;
  double heldout_percent = 1.0;
  std::vector<SourceSpec> sources;
  Json json;  // as read, for the corpus's record
};

// Paths in the recipe are relative to `folder`. Error(kInvalidArgument) names the source and the key.
Recipe parse_recipe(const Json& json, const std::string& what, const std::filesystem::path& folder);
Recipe load_recipe(const std::filesystem::path& path);

}  // namespace unha::corpus
