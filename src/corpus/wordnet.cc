// SPDX-License-Identifier: Apache-2.0
// Reading WordNet. A data line: offset lex_file type word_count(hex) {word lex_id(hex)} pointer_count
// {symbol offset pos source/target(hex)} [frames] | gloss.
#include "corpus/wordnet.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/files.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

struct Pointer {
  std::string symbol;
  int64_t offset;
  char pos;
  int64_t source;
  int64_t target;
};

// Fields of one line, each checked.
class Fields {
 public:
  Fields(std::string_view line, std::string what) : line_(line), what_(std::move(what)) {}
  std::string_view next() {
    while (!line_.empty() && line_[0] == ' ') line_.remove_prefix(1);
    std::string_view field = line_.substr(0, line_.find(' '));
    if (field.empty()) throw_error(ErrorCode::kCorrupt, "{}: the line ends too early", what_);
    line_.remove_prefix(field.size());
    return field;
  }
  int64_t number(int base) {
    std::string_view field = next();
    int64_t value = 0;
    for (char c : field) {
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
      if (digit >= base || value > (int64_t{1} << 40)) {
        throw_error(ErrorCode::kCorrupt, "{}: \"{}\" is not a number in base {}", what_, field, base);
      }
      value = value * base + digit;
    }
    return value;
  }
  std::string_view rest() const { return line_; }

 private:
  std::string_view line_;
  std::string what_;
};

char plain_pos(char pos) { return pos == 's' ? 'a' : pos; }

// `definition; "example"; "example"`. Quotes within the definition (rare) stay in it when a definition text follows.
void split_gloss(std::string_view gloss, Synset& synset) {
  size_t quote = gloss.find("; \"");
  std::string_view definition = trim(gloss.substr(0, quote));
  synset.definition = collapse_spaces(definition);
  while (quote != std::string_view::npos) {
    size_t begin = quote + 3;
    size_t end = gloss.find('"', begin);
    if (end == std::string_view::npos) break;
    std::string example = collapse_spaces(gloss.substr(begin, end - begin));
    if (!example.empty()) synset.examples.push_back(std::move(example));
    quote = gloss.find('"', end + 1);
    if (quote == std::string_view::npos) break;
    quote -= std::min<size_t>(quote, 2);
  }
}

std::string lemma_of(std::string_view word) {
  size_t marker = word.find('(');
  if (marker != std::string_view::npos && marker > 0) word = word.substr(0, marker);
  std::string lemma(word);
  std::replace(lemma.begin(), lemma.end(), '_', ' ');
  return lemma;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

std::string two_digits(int value) { return fmt::format("{:02d}", value); }

}  // namespace

const char* part_of_speech(char pos) {
  return pos == 'n' ? "noun" : pos == 'v' ? "verb" : pos == 'a' ? "adjective" : "adverb";
}

fs::path WordNet::find(const fs::path& root) {
  for (const fs::path& file : list_files(root)) {
    if (file.filename() == "data.noun") return (root / file).parent_path();
  }
  throw_error(ErrorCode::kNotFound, "{}: holds no WordNet database (data.noun)", root.string());
}

WordNet WordNet::load(const fs::path& folder) {
  WordNet net;
  std::unordered_map<std::string, int64_t> at;  // "n:offset" -> index
  std::vector<std::vector<Pointer>> pointers;
  for (const char* name : {"noun", "verb", "adj", "adv"}) {
    fs::path path = folder / (std::string("data.") + name);
    std::string bytes = read_file(path.string());
    int64_t line_number = 0;
    for (std::string_view line : split_lines(bytes)) {
      ++line_number;
      if (line.empty() || line.substr(0, 2) == "  ") continue;
      size_t bar = line.find(" | ");
      std::string what = fmt::format("{} line {}", path.string(), line_number);
      if (bar == std::string_view::npos) throw_error(ErrorCode::kCorrupt, "{}: has no gloss", what);
      Fields fields(line.substr(0, bar), what);
      Synset synset;
      int64_t offset = fields.number(10);
      synset.lex_file = static_cast<int>(fields.number(10));
      char type = fields.next()[0];
      synset.pos = plain_pos(type);
      synset.satellite = type == 's';
      int64_t n_words = fields.number(16);
      for (int64_t i = 0; i < n_words; ++i) {
        std::string lemma = lemma_of(fields.next());
        synset.words.push_back({to_utf8(lemma), static_cast<int>(fields.number(16)), 0});
      }
      if (synset.words.empty()) throw_error(ErrorCode::kCorrupt, "{}: a synset without words", what);
      std::vector<Pointer>& mine = pointers.emplace_back();
      int64_t n_pointers = fields.number(10);
      for (int64_t i = 0; i < n_pointers; ++i) {
        Pointer pointer;
        pointer.symbol = std::string(fields.next());
        pointer.offset = fields.number(10);
        pointer.pos = plain_pos(fields.next()[0]);
        int64_t both = fields.number(16);
        pointer.source = both >> 8 & 0xFF;
        pointer.target = both & 0xFF;
        mine.push_back(std::move(pointer));
      }
      std::string gloss = to_utf8(line.substr(bar + 3));
      split_gloss(gloss, synset);
      at[std::string(1, synset.pos) + ":" + std::to_string(offset)] = static_cast<int64_t>(net.synsets.size());
      net.synsets.push_back(std::move(synset));
    }
  }
  for (size_t i = 0; i < net.synsets.size(); ++i) {
    for (const Pointer& pointer : pointers[i]) {
      auto found = at.find(std::string(1, pointer.pos) + ":" + std::to_string(pointer.offset));
      if (found == at.end()) continue;
      Synset& synset = net.synsets[i];
      if (pointer.symbol == "@" || pointer.symbol == "@i") synset.hypernyms.push_back(found->second);
      if (pointer.symbol == "&" && synset.satellite && synset.head < 0) synset.head = found->second;
      const Synset& target = net.synsets[static_cast<size_t>(found->second)];
      bool lexical = pointer.source >= 1 && pointer.source <= static_cast<int64_t>(synset.words.size()) &&
                     pointer.target >= 1 && pointer.target <= static_cast<int64_t>(target.words.size());
      if (pointer.symbol == "!" && lexical) {
        synset.antonyms.push_back({pointer.source - 1, found->second, pointer.target - 1});
      }
    }
  }
  // Sense keys: lemma%type:lex_file:lex_id:head:head_id, all lower case.
  std::unordered_map<std::string, int64_t> counts;
  std::string list = read_file((folder / "cntlist.rev").string());
  for (std::string_view line : split_lines(list)) {
    Fields fields(line, (folder / "cntlist.rev").string());
    if (trim(line).empty()) continue;
    std::string key(fields.next());
    fields.number(10);
    counts[key] = fields.number(10);
  }
  for (Synset& synset : net.synsets) {
    int type = synset.satellite ? 5 : synset.pos == 'n' ? 1 : synset.pos == 'v' ? 2 : synset.pos == 'a' ? 3 : 4;
    std::string head = ":";
    if (synset.head >= 0) {
      const Synset::Word& word = net.synsets[static_cast<size_t>(synset.head)].words[0];
      head = word.lemma + ":" + two_digits(word.lex_id);
    }
    for (Synset::Word& word : synset.words) {
      std::string key =
          fmt::format("{}%{}:{}:{}:{}", word.lemma, type, two_digits(synset.lex_file), two_digits(word.lex_id), head);
      key = lower(key);
      std::replace(key.begin(), key.end(), ' ', '_');
      if (auto found = counts.find(key); found != counts.end()) word.count = found->second;
    }
  }
  return net;
}

}  // namespace unha::corpus
