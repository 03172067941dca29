// SPDX-License-Identifier: Apache-2.0
// Cleaning: from bytes of unknown quality to valid UTF-8 whose paragraphs are separated by exactly one blank line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unha::corpus {

bool is_valid_utf8(std::string_view bytes);

// The text itself if it is UTF-8; else each byte taken as a Latin-1 character. A byte order mark is dropped.
std::string to_utf8(std::string_view bytes);

void append_utf8(std::string& out, uint32_t code_point);

// UTF-8 with Latin-1 fallback; CRLF and CR become LF; control characters other than tab and newline vanish; tabs and
// spaces at line ends vanish; runs of blank lines become one blank line; no blank lines at either end.
// So "\n\n\n" never occurs within a document: it separates documents in text/*.txt.
std::string clean_text(std::string_view bytes);

// Paragraphs of a clean text, in order, without their separators.
std::vector<std::string_view> split_paragraphs(std::string_view text);

// Joins the lines of prose paragraphs (those whose lines are not indented) with spaces.
std::string unwrap_paragraphs(std::string_view text);

// Runs of spaces, tabs and newlines become one space; none at either end.
std::string collapse_spaces(std::string_view text);

std::vector<std::string_view> split_lines(std::string_view text);
std::string_view trim(std::string_view text);

}  // namespace unha::corpus
