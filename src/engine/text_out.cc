// SPDX-License-Identifier: Apache-2.0
#include "engine/text_out.h"

#include <algorithm>

namespace unha {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& s) { return s.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return "";
  if (stops_.empty()) return std::string(text);
  held_ += text;
  size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, held_.find(stop));
  if (found != std::string::npos) {
    stopped_ = true;
    std::string out = held_.substr(0, found);
    held_.clear();
    return out;
  }
  // Hold back the longest end that begins a stop string.
  size_t hold = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > hold; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) hold = n;
    }
  }
  std::string out = held_.substr(0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
  return out;
}

std::string StopMatcher::finish() {
  std::string out = std::move(held_);
  held_.clear();
  return out;
}

TextOut::TextOut(const Tokenizer* tokenizer, std::vector<std::string> stops, bool hide, Sink sink)
    : matcher_(std::move(stops)), hide_(hide), sink_(std::move(sink)) {
  if (tokenizer == nullptr) return;
  decoder_.emplace(*tokenizer, true);
  open_ = tokenizer->id_of("<think>");
  close_ = tokenizer->id_of("</think>");
}

void TextOut::emit(std::string text) {
  if (hide_ && thinking_) return;
  if (skip_space_) text.erase(0, text.find_first_not_of("\n "));
  if (text.empty()) return;
  skip_space_ = false;
  text_ += text;
  if (sink_) sink_(text, thinking_);
}

void TextOut::drain() {
  emit(matcher_.push(decoder_->finish()));
  if (!stopped()) emit(matcher_.finish());
}

void TextOut::push(int32_t id) {
  if (!decoder_ || stopped()) return;
  bool opens = open_ && id == *open_, closes = close_ && id == *close_;
  // Text on the two sides of a mark never forms a stop string or a character together. The marks belong to the thought.
  if (opens) drain();
  if (opens) thinking_ = true;
  if (!stopped()) emit(matcher_.push(decoder_->push(id)));
  if (closes && !stopped()) {
    drain();
    thinking_ = false;
    skip_space_ = hide_;  // the line end behind a hidden thought
  }
}

void TextOut::finish() {
  if (decoder_ && !stopped()) drain();
}

}  // namespace unha
