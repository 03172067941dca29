// SPDX-License-Identifier: Apache-2.0
// Where training's tokens come from: token shards, weighted, or chats encoded at the start. Both are a numbered list of
// documents, each with a mark per token that says whether it is learned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "train/train_config.h"

namespace unha {

struct Document {
  std::vector<int32_t> ids;      // starts with <bos>
  std::vector<uint8_t> learned;  // per id: is it a target
};

class Documents {
 public:
  virtual ~Documents() = default;
  virtual int64_t count() const = 0;
  virtual int64_t tokens() const = 0;
  virtual void read(int64_t i, Document& out) const = 0;
  // How often a document appears in an epoch; the fraction is a chance.
  virtual double weight(int64_t i) const = 0;
  // Identity of the content, path left out.
  virtual std::string digest() const = 0;
};

// Error(kInvalidArgument) for shards of a foreign tokenizer and for an empty corpus, Error(kCorrupt) for ids beyond
// the vocabulary.
// A *.txt file is encoded here: documents are apart by two blank lines. eos: -1: none.
std::unique_ptr<Documents> open_documents(const std::vector<TrainConfig::Source>& sources, const Tokenizer& tokenizer,
                                          int32_t bos, int32_t eos);
// JSONL of {"messages": [{"role", "content"}]}, by the template of models that Unha trains.
std::unique_ptr<Documents> read_chats(const std::vector<std::string>& paths, const Tokenizer& tokenizer);

}  // namespace unha
