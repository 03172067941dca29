// SPDX-License-Identifier: Apache-2.0
// Added tokens: strings that become one id wherever they occur in parsed text, before any pre-tokenizing. Two sets are
// searched one after the other, each leftmost-longest: first those matched in the raw text ("normalized": false), then,
// between them, those matched in the normalized text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space to its left with it
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
};

// A piece of text (id -1) or an added token.
struct TextPart {
  size_t begin;
  size_t end;
  int32_t id;
};

// A search for a set of added tokens.
class AddedTokenSet {
 public:
  AddedTokenSet();
  // `pattern`: the content as it occurs in the text searched (normalized where the token is).
  void add(const AddedToken& token, std::string_view pattern);
  bool empty() const { return tokens_.empty(); }
  // Cuts `text` (well-formed UTF-8) into parts; pieces of text are never empty.
  void split(std::string_view text, std::vector<TextPart>& out) const;

 private:
  struct Node {
    int32_t first_child = -1;
    int32_t next_sibling = -1;
    int32_t token = -1;  // index into tokens_
    char byte = 0;
  };
  int32_t child(int32_t node, char byte) const;
  // The longest token that starts at `at`, or -1; end is set to its end.
  int32_t longest(std::string_view text, size_t at, size_t& end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<int32_t, 256> roots_;
};

}  // namespace unha
