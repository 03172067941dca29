// SPDX-License-Identifier: Apache-2.0
#include "text/added_tokens.h"

#include <algorithm>

#include "text/utf8.h"

namespace unha {

namespace {

bool word_char_before(std::string_view text, size_t pos) { return pos > 0 && is_word_char(previous_char(text, pos)); }

bool word_char_after(std::string_view text, size_t pos) {
  return pos < text.size() && is_word_char(next_char(text, pos));
}

size_t skip_space_left(std::string_view text, size_t pos) {
  while (pos > 0) {
    size_t start = pos;
    if (!is_white_space(previous_char(text, start))) break;
    pos = start;
  }
  return pos;
}

size_t skip_space_right(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t end = pos;
    if (!is_white_space(next_char(text, end))) break;
    pos = end;
  }
  return pos;
}

}  // namespace

AddedTokenSet::AddedTokenSet() { roots_.fill(-1); }

int32_t AddedTokenSet::child(int32_t node, char byte) const {
  int32_t c = nodes_[node].first_child;
  while (c >= 0 && nodes_[c].byte != byte) c = nodes_[c].next_sibling;
  return c;
}

void AddedTokenSet::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  int32_t& root = roots_[static_cast<uint8_t>(pattern[0])];
  if (root < 0) {
    root = static_cast<int32_t>(nodes_.size());
    nodes_.push_back({-1, -1, -1, pattern[0]});
  }
  int32_t node = root;
  for (char byte : pattern.substr(1)) {
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({-1, nodes_[node].first_child, -1, byte});
      nodes_[node].first_child = next;
    }
    node = next;
  }
  if (nodes_[node].token >= 0) return;  // two tokens that normalize alike: the first one wins
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

int32_t AddedTokenSet::longest(std::string_view text, size_t at, size_t& end) const {
  int32_t found = -1;
  int32_t node = roots_[static_cast<uint8_t>(text[at])];
  for (size_t i = at + 1; node >= 0; ++i) {
    if (nodes_[node].token >= 0) {
      found = nodes_[node].token;
      end = i;
    }
    if (i >= text.size()) break;
    node = child(node, text[i]);
  }
  return found;
}

void AddedTokenSet::split(std::string_view text, std::vector<TextPart>& out) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    size_t end = at;
    int32_t found = longest(text, at, end);
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found];
    size_t begin = at;
    at = end;  // the search goes on behind the match, whether it counts or not
    if (token.single_word && (word_char_before(text, begin) || word_char_after(text, end))) continue;
    // A token before may have taken white space that this one begins with; then nothing is left between them.
    if (token.lstrip) begin = std::max(skip_space_left(text, begin), done);
    if (token.rstrip) end = skip_space_right(text, end);
    if (done < begin) out.push_back({done, begin, -1});
    out.push_back({begin, end, token.id});
    done = std::max(done, end);
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
}

}  // namespace unha
