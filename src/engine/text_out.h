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

// Finds a thought in a stream of text: the marks are text too, for tokenizers that have no token for them. A thought
// can only be what a reply begins with.
class ThoughtSplitter {
 public:
  using Sink = std::function<void(std::string text, bool thinking)>;
  // inside: the text begins in a thought.
  ThoughtSplitter(bool inside, Sink sink) : place_(inside ? Place::kInside : Place::kBefore), sink_(std::move(sink)) {}
  void push(std::string_view text);
  void finish();  // what was held back

 private:
  enum class Place { kBefore, kInside, kBehind };
  void give(size_t bytes);

  Place place_;
  Sink sink_;
  std::string held_;
};

struct ThoughtOptions {
  bool hide = false;       // thoughts do not reach the sink or text()
  bool begins_in = false;  // the prompt has opened a thought
};

// Ids to text, with thoughts told apart. The marks belong to the thought.
class TextOut {
 public:
  using Sink = std::function<void(std::string_view text, bool thinking)>;
  // tokenizer may be null: no text.
  TextOut(const Tokenizer* tokenizer, std::vector<std::string> stops, ThoughtOptions thoughts, Sink sink);
  TextOut(const TextOut&) = delete;
  TextOut& operator=(const TextOut&) = delete;

  void push(int32_t id);
  void finish();
  bool stopped() const { return matcher_.stopped(); }
  const std::string& text() const { return text_; }

 private:
  void emit(std::string text);  // text that is certain
  void show(std::string text, bool thinking);
  void close_thought();
  void drain();

  std::optional<StreamDecoder> decoder_;
  StopMatcher matcher_;
  bool hide_;
  Sink sink_;
  std::optional<int32_t> open_, close_;      // the marks, where they are tokens
  std::optional<ThoughtSplitter> splitter_;  // where they are not
  bool thinking_;
  bool skip_space_ = false;
  std::string text_;
};

}  // namespace unha
