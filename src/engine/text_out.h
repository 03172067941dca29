// SPDX-License-Identifier: Apache-2.0
// What of a reply can be shown already: whole characters, outside of any stop string that may still complete.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/stream_decoder.h"

namespace unha {

// Finds stop strings in a stream of text, across its pieces.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);
  // Text that is certain now. After a stop string everything is swallowed.
  std::string push(std::string_view text);
  std::string finish();  // what was held back
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

// Ids to text, with thoughts told apart.
class TextOut {
 public:
  using Sink = std::function<void(std::string_view text, bool thinking)>;
  // tokenizer may be null: no text. hide: thoughts do not reach the sink or text().
  TextOut(const Tokenizer* tokenizer, std::vector<std::string> stops, bool hide, Sink sink);

  void push(int32_t id);
  void finish();
  bool stopped() const { return matcher_.stopped(); }
  const std::string& text() const { return text_; }

 private:
  void emit(std::string text);
  void drain();

  std::optional<StreamDecoder> decoder_;
  StopMatcher matcher_;
  bool hide_;
  Sink sink_;
  std::optional<int32_t> open_, close_;
  bool thinking_ = false;
  bool skip_space_ = false;
  std::string text_;
};

}  // namespace unha
