// SPDX-License-Identifier: Apache-2.0
// WordNet's database (wndb(5WN)): synsets with words, gloss, examples and the pointers we use, and how often each sense
// occurs in its tagged texts (cntlist.rev).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace unha::corpus {

struct Synset {
  struct Word {
    std::string lemma;  // spaces for underscores, no syntactic marker
    int lex_id = 0;
    int64_t count = 0;  // occurrences of this sense
  };
  struct Antonym {
    int64_t word = 0;    // of this synset
    int64_t target = 0;  // index of the other synset
    int64_t target_word = 0;
  };
  char pos = 'n';  // n v a r (satellites count as a)
  bool satellite = false;
  int lex_file = 0;
  std::vector<Word> words;
  std::string definition;
  std::vector<std::string> examples;
  std::vector<int64_t> hypernyms;  // indices into WordNet::synsets
  std::vector<Antonym> antonyms;
  int64_t head = -1;  // of a satellite
};

struct WordNet {
  std::vector<Synset> synsets;  // in the order of data.noun, data.verb, data.adj, data.adv

  // Error(kNotFound) without its files, Error(kCorrupt) naming file and line for a line that does not parse.
  static WordNet load(const std::filesystem::path& folder);

  // Finds the folder that holds data.noun at or below root.
  static std::filesystem::path find(const std::filesystem::path& root);
};

const char* part_of_speech(char pos);  // "noun", "verb", "adjective", "adverb"

}  // namespace unha::corpus
