// SPDX-License-Identifier: Apache-2.0
// Extractors: from the files of an unpacked package (or any folder) to documents. One file per format; all bytes are
// untrusted. A document leaves here raw: the pipeline cleans it (clean.h) and drops empty ones.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/document.h"

namespace unha::corpus {

struct ExtractJob {
  std::filesystem::path root;        // where the package was unpacked
  std::vector<std::string> include;  // fnmatch patterns on relative paths; empty: the extractor's own default
  std::vector<std::string> exclude;
};

// kind: text html rst pod dictd rdata sword wordnet. Error(kInvalidArgument) lists the kinds for an unknown one,
// Error(kNotFound) if no file of the job fits.
void extract(const std::string& kind, const ExtractJob& job, const DocumentSink& sink);
const std::vector<std::string>& extractor_names();

// Single formats, each on bytes in memory; `name` names the input in errors and documents.
std::string html_to_text(std::string_view html);
std::string rst_to_text(std::string_view rst);
std::string pod_to_text(std::string_view pod);
void extract_dictd(std::string_view index, std::string_view dict, const std::string& name, const DocumentSink& sink);
// The character vectors of an R lazy-load database; one document per object of at least 1 KB of strings.
void extract_rdata(std::string_view rdb, const std::string& name, const DocumentSink& sink);
struct SwordFiles {
  std::string_view blocks;    // .bzs or .czs
  std::string_view verses;    // .bzv or .czv
  std::string_view data;      // .bzz or .czz
  bool wide_lengths = false;  // .czv: verse records of 12 bytes
};
// One document per chapter.
void extract_sword(const SwordFiles& files, const std::string& name, const DocumentSink& sink);
// All of WordNet as prose, related synsets together; root holds data.noun and so on.
void extract_wordnet(const std::filesystem::path& folder, const DocumentSink& sink);

// A novel or other long text cut at paragraph ends into pieces of about `bytes` bytes (never inside a paragraph).
std::vector<std::string> split_long_text(std::string_view text, int64_t bytes);
// The text between Project Gutenberg's start and end marks, where it has them; its preamble of production credits
// goes too.
std::string_view strip_gutenberg(std::string_view text);

}  // namespace unha::corpus
