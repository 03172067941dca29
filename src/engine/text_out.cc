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

namespace {
constexpr std::string_view kOpen = "<think>", kClose = "</think>";

// Length of the longest end of text that begins mark without being all of it.
size_t begun(std::string_view text, std::string_view mark) {
  for (size_t n = std::min(mark.size() - 1, text.size()); n > 0; --n) {
    if (text.ends_with(mark.substr(0, n))) return n;
  }
  return 0;
}
}  // namespace

void ThoughtSplitter::give(size_t bytes) {
  if (bytes == 0) return;
  sink_(held_.substr(0, bytes), place_ == Place::kInside);
  held_.erase(0, bytes);
}

void ThoughtSplitter::push(std::string_view text) {
  held_ += text;
  if (place_ == Place::kBefore) {
    size_t start = held_.find_first_not_of(" \n");
    if (start == std::string::npos) return give(held_.size());
    give(start);
    if (held_.size() < kOpen.size() && kOpen.starts_with(held_)) return;  // may still become the mark
    place_ = held_.starts_with(kOpen) ? Place::kInside : Place::kBehind;
  }
  if (place_ == Place::kInside) {
    size_t at = held_.find(kClose);
    if (at == std::string::npos) return give(held_.size() - begun(held_, kClose));
    give(at + kClose.size());
    place_ = Place::kBehind;
  }
  give(held_.size());
}

void ThoughtSplitter::finish() { give(held_.size()); }

TextOut::TextOut(const Tokenizer* tokenizer, std::vector<std::string> stops, ThoughtOptions thoughts, Sink sink)
    : matcher_(std::move(stops)), hide_(thoughts.hide), sink_(std::move(sink)), thinking_(thoughts.begins_in) {
  if (tokenizer == nullptr) return;
  decoder_.emplace(*tokenizer, true);
  open_ = tokenizer->id_of(kOpen);
  close_ = tokenizer->id_of(kClose);
  if (open_ && close_) return;
  open_ = close_ = std::nullopt;
  splitter_.emplace(thoughts.begins_in, [this](std::string text, bool thinking) {
    bool closes = thinking && text.ends_with(kClose);
    show(std::move(text), thinking);
    if (closes) close_thought();
  });
}

void TextOut::close_thought() {
  thinking_ = false;
  skip_space_ = hide_;  // the line end behind a hidden thought
}

void TextOut::show(std::string text, bool thinking) {
  if (hide_ && thinking) return;
  if (skip_space_) text.erase(0, text.find_first_not_of("\n "));
  if (text.empty()) return;
  skip_space_ = false;
  text_ += text;
  if (sink_) sink_(text, thinking);
}

void TextOut::emit(std::string text) {
  if (splitter_) {
    splitter_->push(text);
  } else {
    show(std::move(text), thinking_);
  }
}

void TextOut::drain() {
  emit(matcher_.push(decoder_->finish()));
  if (!stopped()) emit(matcher_.finish());
}

void TextOut::push(int32_t id) {
  if (!decoder_ || stopped()) return;
  bool opens = open_ && id == *open_, closes = close_ && id == *close_;
  // Text on the two sides of a mark never forms a stop string or a character together.
  if (opens) drain();
  if (opens) thinking_ = true;
  if (!stopped()) emit(matcher_.push(decoder_->push(id)));
  if (closes && !stopped()) {
    drain();
    close_thought();
  }
}

void TextOut::finish() {
  if (decoder_ && !stopped()) drain();
  if (splitter_) splitter_->finish();
}

}  // namespace unha
