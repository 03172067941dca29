// SPDX-License-Identifier: Apache-2.0
// Knows vendors' Jinja texts by digest, so that none of them has to be here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace unha {

// SHA-256 of what the text does, without indentation, trimming signs, comments and ways to spell a literal: copies of
// one template that were laid out anew have the same.
std::string jinja_digest(std::string_view text);
// The template of that digest; nothing if it is not known.
std::optional<std::string> recognise_jinja(std::string_view text);
// The template whose marks an unknown text shows, as a suggestion; empty if none.
std::string similar_template(std::string_view text);

}  // namespace unha
