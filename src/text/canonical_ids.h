// SPDX-License-Identifier: Apache-2.0
// The compressed vocabulary of Engram: tokens that differ only in case, accents, width or a leading space share one id.
// The map is computed once, when a model is made, and stored with it; whoever loads a model reads the stored map and
// checks its digest, so that a change of Unicode tables can never move a row.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace unha {

struct CanonicalIds {
  std::vector<int32_t> map;  // [V] raw id -> canonical id, 0 .. count - 1 in order of first appearance
  int64_t count = 0;
  std::string sha256;  // of the map as little-endian int32
};

CanonicalIds make_canonical_ids(const Tokenizer& tokenizer);

// SHA-256 of a map as little-endian int32, in hex.
std::string canonical_ids_digest(const std::vector<int32_t>& map);

// The normal form of a token's text; may be empty. NFKC, NFD, marks dropped, lowercase, runs of blanks to one space,
// stripped of white space unless a single space is all there is.
std::string canonical_text(std::string_view text);

}  // namespace unha
