// SPDX-License-Identifier: Apache-2.0
// The "normalizer" of a tokenizer file: a chain of Unicode normal forms and lowercasing, applied to the text between
// added tokens that are matched raw.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace unha {

class Normalizer {
 public:
  Normalizer() = default;
  // json: null, NFC, NFD, NFKC, NFKD, Lowercase or a Sequence of them. Others are Error(kUnsupported).
  Normalizer(const Json& json, const std::string& what);

  bool is_identity() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;

 private:
  enum class Step { kNfc, kNfd, kNfkc, kNfkd, kLowercase };
  void add(const Json& json, const std::string& what);

  std::vector<Step> steps_;
};

}  // namespace unha
