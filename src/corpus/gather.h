// SPDX-License-Identifier: Apache-2.0
// The first half of a build: what each source gives, cleaned, without duplicates, split into training and held-out.
#pragma once

#include <string>
#include <vector>

#include "corpus/build.h"
#include "corpus/chat.h"
#include "corpus/dedup.h"
#include "corpus/document.h"
#include "corpus/package.h"
#include "corpus/recipe.h"

namespace unha::corpus {

struct Gathered {
  const SourceSpec* spec = nullptr;
  std::vector<Document> train;
  std::vector<Document> heldout;
  std::vector<Chat> chats;
  std::vector<EvalItem> eval;
  SourceCounts counts;
};

// The documents of a text source: extracted from `root`, cleaned, cut, before any comparison with others.
std::vector<Document> read_documents(const SourceSpec& spec, const std::filesystem::path& root);

// Moves `documents` into train and heldout by hash of each document's text: percent of them, and at least one where
// there are two. Then samples the training side down to spec.max_bytes.
void split_documents(std::vector<Document> documents, double heldout_percent, Gathered& source);

// The conversations and test questions of the other kinds.
void read_conversations(const SourceSpec& spec, const std::filesystem::path& root, uint64_t seed, Gathered& source);

// A conversation as plain text, for tokenizers and overlap: contents only, one line between them.
std::string plain_chat(const Chat& chat);

}  // namespace unha::corpus
