// SPDX-License-Identifier: Apache-2.0
// Question patterns, read in both directions: fill() writes a question, match() takes it apart again, exactly. So a
// verifier understands every question its generator asks, and nothing else.
//
// Placeholders: {a} .. {f} an integer; {list} integers separated by ", "; any other name, a single word of letters.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unha::corpus {

using Bindings = std::map<std::string, std::string>;

std::string fill(std::string_view pattern, const Bindings& values);
std::optional<Bindings> match(std::string_view pattern, std::string_view text);

// Canonical integers only: no plus sign, no leading zeros, no "-0", at most 18 digits.
std::optional<int64_t> parse_integer(std::string_view text);
std::optional<std::vector<int64_t>> parse_integers(std::string_view list);
std::string join_integers(const std::vector<int64_t>& numbers);

}  // namespace unha::corpus
