// SPDX-License-Identifier: Apache-2.0
// The "pre_tokenizer" of a tokenizer file: a chain of steps, each of which cuts every piece of the step before into
// smaller ones. The last step is ByteLevel, after which a piece is a word: the unit that merges never cross.
// What lies outside of a piece is invisible to the next step: look-ahead sees the end of the piece.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/regex.h"

namespace unha {

class PreTokenizer {
 public:
  // json: ByteLevel, or a Sequence of Split and Digits steps that ends in ByteLevel. Others are Error(kUnsupported).
  PreTokenizer(const Json& json, const std::string& what);

  // One thread's working memory.
  struct Scratch {
    RegexScratch regex;
    std::vector<std::vector<Span>> spans;  // per step
    std::vector<Span> matches;
  };

  // Calls sink(std::string_view word) for each word of `text` (well-formed UTF-8), in order. The view lives for the
  // call only. Const and thread-safe with a scratch per thread.
  template <class Sink>
  void run(std::string_view text, Scratch& scratch, Sink&& sink) const {
    scratch.spans.resize(steps_.size());
    run_step(0, text, scratch, sink);
  }

 private:
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  enum class Kind { kRegex, kLiteral, kNumeric };
  struct Step {
    Kind kind;
    Behavior behavior;
    bool invert;
    std::optional<Regex> regex;
    std::string literal;
  };

  void add(const Json& json, const std::string& what);
  void add_split(JsonReader& reader);
  void add_byte_level(JsonReader& reader);
  // Cuts text by one step into non-empty pieces.
  void cut(const Step& step, std::string_view text, Scratch& scratch, std::vector<Span>& pieces) const;

  template <class Sink>
  void run_step(size_t index, std::string_view text, Scratch& scratch, Sink& sink) const {
    if (text.empty()) return;
    if (index == prefix_before_ && text[0] != ' ') {
      std::string prefixed(1, ' ');
      prefixed += text;
      return run_rest(index, prefixed, scratch, sink);
    }
    run_rest(index, text, scratch, sink);
  }
  template <class Sink>
  void run_rest(size_t index, std::string_view text, Scratch& scratch, Sink& sink) const {
    if (index == steps_.size()) {
      sink(text);
      return;
    }
    std::vector<Span>& pieces = scratch.spans[index];
    pieces.clear();
    cut(steps_[index], text, scratch, pieces);
    for (const Span& piece : pieces) {
      run_step(index + 1, text.substr(piece.begin, piece.end - piece.begin), scratch, sink);
    }
  }

  std::vector<Step> steps_;
  bool ended_ = false;                              // ByteLevel has been read
  size_t prefix_before_ = static_cast<size_t>(-1);  // step before which ByteLevel adds its prefix space
};

}  // namespace unha
