// SPDX-License-Identifier: Apache-2.0
// From a corpus's texts to token shards: DIR/train/NAME.shard for each source, and DIR/train/encoding.json, the record.
//
// A text document is <bos> text <eos>, a conversation what the chat template of our models makes of it, with the loss
// on the assistant's tokens alone. Text is never searched for control tokens. A source with repeat n has its documents
// n times, one pass after the other. The order within a pass is the corpus's: who trains shuffles.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/threads.h"
#include "corpus/build.h"
#include "text/tokenizer.h"

namespace unha::corpus {

struct EncodedSource {
  std::string name;
  int64_t documents = 0;   // repeats included
  int64_t tokens = 0;      // repeats included
  int64_t text_bytes = 0;  // repeats included
};

// Error(kInvalidArgument) if the tokenizer lacks <bos>, <eos> or the marks of chats, Error(kCorrupt) if a file is not
// the one that corpus.json lists. What DIR/train was before stays until the new one is whole.
std::vector<EncodedSource> encode_corpus(const std::filesystem::path& dir, const Tokenizer& tokenizer, Threads& threads,
                                         const ProgressSink& progress);

}  // namespace unha::corpus
