// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace unha {

namespace {

constexpr size_t kMaxSplits = 32;

// ByteLevel's own pattern (GPT-2), used where use_regex is true.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void find_literal(std::string_view text, std::string_view literal, std::vector<Span>& out) {
  for (size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at + literal.size())) {
    out.push_back({at, at + literal.size()});
  }
}

void find_numeric(std::string_view text, std::vector<Span>& out) {
  for (size_t i = 0; i < text.size();) {
    size_t begin = i;
    if (is_numeric(next_char(text, i))) out.push_back({begin, i});
  }
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, const std::string& what) {
  if (json.is_null()) {
    throw_error(ErrorCode::kUnsupported, "{}: no pre_tokenizer, expected one that ends in ByteLevel", what);
  }
  add(json, what);
  if (!ended_) throw_error(ErrorCode::kUnsupported, "{}: expected the last step to be ByteLevel", what);
}

void PreTokenizer::add(const Json& json, const std::string& what) {
  JsonReader reader(json, what);
  auto type = reader.require<std::string>("type");
  if (type == "Sequence") {
    const Json& list = reader.at("pretokenizers");
    if (!list.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"pretokenizers\" must be a list", what);
    for (const Json& item : list) add(item, what);
    reader.finish();
    return;
  }
  if (ended_) throw_error(ErrorCode::kUnsupported, "{}: step \"{}\" after ByteLevel", what, type);
  if (steps_.size() >= kMaxSplits) throw_error(ErrorCode::kUnsupported, "{}: more than {} steps", what, kMaxSplits);
  if (type == "Split") {
    add_split(reader);
  } else if (type == "Digits") {
    Behavior behavior = reader.get("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous;
    steps_.push_back({Kind::kNumeric, behavior, false, std::nullopt, ""});
  } else if (type == "ByteLevel") {
    add_byte_level(reader);
  } else {
    throw_error(ErrorCode::kUnsupported,
                "{}: pre-tokenizer \"{}\" is not supported (supported: Sequence, Split, Digits, ByteLevel)", what,
                type);
  }
  reader.finish();
}

void PreTokenizer::add_split(JsonReader& reader) {
  static constexpr std::array<std::pair<std::string_view, Behavior>, 5> kNames = {
      {{"Isolated", Behavior::kIsolated},
       {"Removed", Behavior::kRemoved},
       {"MergedWithPrevious", Behavior::kMergedWithPrevious},
       {"MergedWithNext", Behavior::kMergedWithNext},
       {"Contiguous", Behavior::kContiguous}}};
  auto name = reader.require<std::string>("behavior");
  const std::pair<std::string_view, Behavior>* found = nullptr;
  for (const auto& known : kNames) {
    if (known.first == name) found = &known;
  }
  if (!found) throw_error(ErrorCode::kUnsupported, "{}: split behavior \"{}\" is unknown", reader.what(), name);
  JsonReader pattern(reader.at("pattern"), reader.what() + ": pattern");
  Step step{Kind::kRegex, found->second, reader.get("invert", false), std::nullopt, ""};
  if (pattern.has("String")) {
    step.kind = Kind::kLiteral;
    step.literal = pattern.require<std::string>("String");
    if (step.literal.empty()) throw_error(ErrorCode::kUnsupported, "{}: split by an empty string", reader.what());
  } else {
    step.regex.emplace(pattern.require<std::string>("Regex"), reader.what());
  }
  pattern.finish();
  steps_.push_back(std::move(step));
}

void PreTokenizer::add_byte_level(JsonReader& reader) {
  if (reader.get("add_prefix_space", true)) prefix_before_ = steps_.size();
  reader.get("trim_offsets", true);
  if (reader.get("use_regex", true)) {
    steps_.push_back({Kind::kRegex, Behavior::kIsolated, false, std::nullopt, ""});
    steps_.back().regex.emplace(kByteLevelPattern, reader.what());
  }
  ended_ = true;
}

void PreTokenizer::cut(const Step& step, std::string_view text, Scratch& scratch, std::vector<Span>& pieces) const {
  std::vector<Span>& matches = scratch.matches;
  matches.clear();
  switch (step.kind) {
    case Kind::kRegex:
      step.regex->find_all(text, scratch.regex, matches);
      break;
    case Kind::kLiteral:
      find_literal(text, step.literal, matches);
      break;
    case Kind::kNumeric:
      find_numeric(text, matches);
      break;
  }
  bool after_match = false;
  bool grow = false;  // the piece being built goes on (MergedWithNext: a match waits for what follows)
  auto part = [&](size_t begin, size_t end, bool match) {
    match = match != step.invert;
    switch (step.behavior) {
      case Behavior::kIsolated:
        pieces.push_back({begin, end});
        break;
      case Behavior::kRemoved:
        if (!match) pieces.push_back({begin, end});
        break;
      case Behavior::kMergedWithPrevious:
        if (match && !after_match && !pieces.empty())
          pieces.back().end = end;
        else
          pieces.push_back({begin, end});
        break;
      case Behavior::kMergedWithNext:
        if (!match && grow)
          pieces.back().end = end;
        else
          pieces.push_back({begin, end});
        grow = match;
        break;
      case Behavior::kContiguous:
        if (!pieces.empty() && match == after_match)
          pieces.back().end = end;
        else
          pieces.push_back({begin, end});
        break;
    }
    after_match = match;
  };
  size_t at = 0;
  for (const Span& m : matches) {
    if (at != m.begin) part(at, m.begin, false);
    part(m.begin, m.end, true);
    at = m.end;
  }
  if (at != text.size()) part(at, text.size(), false);
}

}  // namespace unha
