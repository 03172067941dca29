// SPDX-License-Identifier: Apache-2.0
// corpus.json read back: the record of a corpus in a folder, and its files, checked against it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/chat_template.h"

namespace unha::corpus {

class CorpusRecord {
 public:
  // Error(kNotFound) if DIR is not a corpus, Error(kCorrupt) if its record is damaged.
  static CorpusRecord open(const std::filesystem::path& dir);

  const Json& json() const { return json_; }
  const std::string& digest() const { return digest_; }
  struct Source {
    std::string name;
    int64_t repeat;
  };
  const std::vector<Source>& sources() const { return sources_; }

  bool has(const std::string& file) const;
  // The file's bytes. Error(kCorrupt) if they do not have the SHA-256 of the record.
  std::string read(const std::string& file) const;
  // The documents of text/NAME.txt; the conversations of chats/NAME.jsonl. Empty if there is no such file.
  std::vector<std::string> documents(const std::string& source) const;
  std::vector<std::vector<Message>> chats(const std::string& source) const;

 private:
  std::filesystem::path dir_;
  Json json_;
  std::string digest_;
  std::vector<Source> sources_;
};

}  // namespace unha::corpus
