// SPDX-License-Identifier: Apache-2.0
// What flows through the corpus: a document is clean UTF-8 text of paragraphs separated by one blank line.
#pragma once

#include <functional>
#include <string>

namespace unha::corpus {

struct Document {
  std::string name;  // unique within its source: a relative path, a head word
  std::string text;
};

using DocumentSink = std::function<void(Document&&)>;

}  // namespace unha::corpus
