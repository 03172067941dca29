// SPDX-License-Identifier: Apache-2.0
// Facts become questions: a list of (key, wordings, answer), most frequent first, then the split by hash of the key.
#include "corpus/facts.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/hash.h"
#include "corpus/phrase.h"
#include "corpus/wordnet.h"

namespace unha::corpus {
namespace {

struct Fact {
  std::string key;
  int64_t count = 0;
  char pos = 'n';
  std::vector<std::string> questions;  // for training
  std::string test_question;           // a wording that training never uses
  std::vector<std::string> answers;    // the first is trained
  std::string choice;                  // what four-way choice compares
};

constexpr int kHeldOutOneIn = 10;

bool is_plain_word(const std::string& lemma) {
  return lemma.size() >= 2 &&
         std::all_of(lemma.begin(), lemma.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == ' ' || c == '-'; });
}

std::string with_article(const std::string& word) {
  bool vowel = std::string_view("aeiou").find(word[0]) != std::string_view::npos;
  return (vowel ? "an " : "a ") + word;
}

// The most frequent sense of each lemma over all parts of speech: a question about a word has one answer.
struct Sense {
  const Synset* synset;
  size_t word;
  int64_t count;
};
std::map<std::string, Sense> top_senses(const WordNet& net, int64_t min_count) {
  std::map<std::string, Sense> top;
  for (const Synset& synset : net.synsets) {
    for (size_t w = 0; w < synset.words.size(); ++w) {
      const Synset::Word& word = synset.words[w];
      if (word.count < min_count || !is_plain_word(word.lemma)) continue;
      auto [at, fresh] = top.emplace(word.lemma, Sense{&synset, w, word.count});
      if (!fresh && word.count > at->second.count) at->second = {&synset, w, word.count};
    }
  }
  return top;
}

std::vector<Fact> definitions(const WordNet& net, const FactOptions& options) {
  std::vector<Fact> facts;
  for (const auto& [lemma, sense] : top_senses(net, options.min_count)) {
    const std::string& definition = sense.synset->definition;
    if (definition.empty() || static_cast<int64_t>(definition.size()) > options.max_answer_bytes) continue;
    Fact fact{lemma, sense.count, sense.synset->pos, {}, {}, {}, {}};
    fact.questions = {"What does \"" + lemma + "\" mean?",          "Define " + lemma + ".",
                      "What is the meaning of " + lemma + "?",      "what does " + lemma + " mean",
                      "Give me a definition of \"" + lemma + "\".", "What is the definition of " + lemma + "?"};
    if (fact.pos == 'n') fact.questions.insert(fact.questions.begin() + 1, "What is " + with_article(lemma) + "?");
    fact.test_question = "Please explain the word \"" + lemma + "\".";
    fact.answers = {lemma + " (" + part_of_speech(fact.pos) + "): " + definition + "."};
    fact.choice = fact.answers[0];
    facts.push_back(std::move(fact));
  }
  return facts;
}

std::vector<Fact> opposites(const WordNet& net, const FactOptions& options) {
  std::map<std::string, Fact> best;
  for (const Synset& synset : net.synsets) {
    for (const Synset::Antonym& antonym : synset.antonyms) {
      const Synset::Word& word = synset.words[static_cast<size_t>(antonym.word)];
      const Synset::Word& other =
          net.synsets[static_cast<size_t>(antonym.target)].words[static_cast<size_t>(antonym.target_word)];
      int64_t count = word.count + other.count;
      if (count < options.min_count || !is_plain_word(word.lemma) || !is_plain_word(other.lemma)) continue;
      Fact& fact = best[word.lemma];
      if (!fact.answers.empty() && count <= fact.count) {
        fact.answers.push_back(other.lemma);
        continue;
      }
      fact.answers.insert(fact.answers.begin(), other.lemma);
      fact.key = std::min(word.lemma, other.lemma) + "/" + std::max(word.lemma, other.lemma);
      fact.count = count;
      fact.pos = synset.pos;
      fact.questions = {"What is the opposite of " + word.lemma + "?", "Give me the opposite of " + word.lemma + ".",
                        "What is the opposite of \"" + word.lemma + "\"?",
                        "Which word is the opposite of " + word.lemma + "?", "opposite of " + word.lemma};
      fact.test_question = "Name the opposite of " + word.lemma + ".";
      fact.choice = other.lemma;
    }
  }
  std::vector<Fact> facts;
  for (auto& [lemma, fact] : best) facts.push_back(std::move(fact));
  return facts;
}

std::vector<Fact> synonyms(const WordNet& net, const FactOptions& options) {
  std::vector<Fact> facts;
  for (const auto& [lemma, sense] : top_senses(net, options.min_count)) {
    Fact fact{lemma, sense.count, sense.synset->pos, {}, {}, {}, {}};
    int64_t best = -1;
    for (const Synset::Word& word : sense.synset->words) {
      if (word.lemma == lemma || !is_plain_word(word.lemma)) continue;
      fact.answers.insert(word.count > best ? fact.answers.begin() : fact.answers.end(), word.lemma);
      best = std::max(best, word.count);
    }
    if (fact.answers.empty()) continue;
    fact.questions = {"Give me another word for " + lemma + ".", "What is another word for " + lemma + "?",
                      "What is a synonym of " + lemma + "?", "Give me a synonym for \"" + lemma + "\"."};
    fact.test_question = "Name a synonym of " + lemma + ".";
    fact.choice = fact.answers[0];
    facts.push_back(std::move(fact));
  }
  return facts;
}

std::vector<Fact> kinds(const WordNet& net, const FactOptions& options) {
  std::vector<Fact> facts;
  for (const auto& [lemma, sense] : top_senses(net, options.min_count)) {
    const Synset& synset = *sense.synset;
    if (synset.pos != 'n' || synset.hypernyms.empty()) continue;
    std::string parent = net.synsets[static_cast<size_t>(synset.hypernyms[0])].words[0].lemma;
    if (!is_plain_word(parent)) continue;
    Fact fact{lemma, sense.count, 'n', {}, {}, {}, {}};
    fact.questions = {"What kind of thing is " + with_article(lemma) + "?",
                      "What is " + with_article(lemma) + " a kind of?",
                      "What sort of thing is " + with_article(lemma) + "?", "\"" + lemma + "\" is a kind of what?"};
    fact.test_question = "Which kind of thing is " + with_article(lemma) + "?";
    fact.answers = {"a kind of " + parent};
    fact.choice = fact.answers[0];
    facts.push_back(std::move(fact));
  }
  return facts;
}

// Sentences are examples of use: no single right answer, so they are trained on and never tested.
std::vector<Fact> sentences(const WordNet& net, const FactOptions& options) {
  std::vector<Fact> facts;
  for (const Synset& synset : net.synsets) {
    for (const std::string& example : synset.examples) {
      if (example.size() < 20 || static_cast<int64_t>(example.size()) > options.max_answer_bytes) continue;
      for (const Synset::Word& word : synset.words) {
        size_t at = example.find(word.lemma);
        bool whole = at != std::string::npos && (at == 0 || example[at - 1] == ' ') &&
                     (at + word.lemma.size() == example.size() ||
                      !isalpha(static_cast<unsigned char>(example[at + word.lemma.size()])));
        if (!whole || word.count < options.min_count || !is_plain_word(word.lemma)) continue;
        Fact fact{word.lemma, word.count, synset.pos, {}, {}, {example}, {}};
        fact.questions = {
            "Use the word \"" + word.lemma + "\" in a sentence.", "Give me an example of the word " + word.lemma + ".",
            "Write a sentence with the word \"" + word.lemma + "\".", "Make a sentence with " + word.lemma + "."};
        facts.push_back(std::move(fact));
        break;
      }
    }
  }
  return facts;
}

std::vector<Fact> elements(const std::filesystem::path& root) {
  std::vector<Fact> facts;
  std::set<std::string> seen;
  extract("dictd", {root, {}, {}}, [&](Document&& document) {
    std::string text = clean_text(document.text);
    std::vector<std::string_view> lines = split_lines(text);
    auto value = [&](std::string_view label) -> std::string {
      for (std::string_view line : lines) {
        if (line.substr(0, label.size()) == label) return std::string(trim(line.substr(label.size())));
      }
      return "";
    };
    std::string name(lines.empty() ? "" : lines[0]);
    std::string symbol = value("Symbol:");
    std::string number = value("Atomic number:");
    if (!is_plain_word(name) || symbol.empty() || symbol.size() > 3 || !parse_integer(number)) return;
    if (!seen.insert(symbol).second) return;
    int64_t rank = 200 - *parse_integer(number);
    facts.push_back({name + "/symbol",
                     rank,
                     's',
                     {"What is the chemical symbol of " + name + "?", "What is the symbol for " + name + "?",
                      "Which symbol does the element " + name + " have?", "symbol of " + name},
                     "Tell me the symbol of " + name + ".",
                     {symbol},
                     symbol});
    facts.push_back({name + "/number",
                     rank,
                     '#',
                     {"What is the atomic number of " + name + "?", "Which atomic number does " + name + " have?",
                      "Give me the atomic number of " + name + ".", "atomic number of " + name},
                     "Tell me the atomic number of " + name + ".",
                     {number},
                     number});
    facts.push_back({name + "/name",
                     rank,
                     'e',
                     {"Which element has the symbol " + symbol + "?", "What element is " + symbol + "?",
                      "Which chemical element has the symbol " + symbol + "?",
                      "What does the chemical symbol " + symbol + " stand for?"},
                     "Name the element with the symbol " + symbol + ".",
                     {name},
                     name});
  });
  return facts;
}

// Three other facts' choices, of the same part of speech and of the nearest length.
std::vector<std::string> distractors(const std::vector<Fact>& facts, const Fact& fact, uint64_t salt) {
  std::vector<std::pair<uint64_t, const Fact*>> candidates;
  for (const Fact& other : facts) {
    if (other.pos != fact.pos || other.choice == fact.choice || other.key == fact.key) continue;
    if (std::find(fact.answers.begin(), fact.answers.end(), other.choice) != fact.answers.end()) continue;
    auto gap = static_cast<uint64_t>(
        std::abs(static_cast<int64_t>(other.choice.size()) - static_cast<int64_t>(fact.choice.size())));
    candidates.emplace_back((gap / 8) << 48 | (mix_hash(salt ^ text_hash(other.key)) >> 16), &other);
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> choices;
  for (const auto& [rank, other] : candidates) {
    if (choices.size() == 3) break;
    if (std::find(choices.begin(), choices.end(), other->choice) == choices.end()) choices.push_back(other->choice);
  }
  return choices;
}

}  // namespace

bool is_fact_held_out(const std::string& kind, const std::string& key) {
  return text_hash("fact:" + kind + ":" + key) % kHeldOutOneIn == 0;
}

const std::vector<std::string>& fact_names() {
  static const std::vector<std::string> names = {"definition", "opposite", "synonym", "kind_of", "sentence", "element"};
  return names;
}

const char* fact_package(const std::string& kind) { return kind == "element" ? "dict-elements" : "wordnet-base"; }

FactSet generate_facts(const std::string& kind, const std::filesystem::path& root, const FactOptions& options) {
  std::vector<Fact> facts;
  if (kind == "element") {
    facts = elements(root);
  } else {
    WordNet net = WordNet::load(WordNet::find(root));
    if (kind == "definition") facts = definitions(net, options);
    if (kind == "opposite") facts = opposites(net, options);
    if (kind == "synonym") facts = synonyms(net, options);
    if (kind == "kind_of") facts = kinds(net, options);
    if (kind == "sentence") facts = sentences(net, options);
  }
  if (facts.empty()) throw_error(ErrorCode::kNotFound, "{}: no facts of kind \"{}\" in it", root.string(), kind);
  std::stable_sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) { return a.count > b.count; });
  if (static_cast<int64_t>(facts.size()) > options.limit) facts.resize(static_cast<size_t>(options.limit));

  FactSet set;
  std::unordered_set<std::string> asked;
  int64_t tested[2] = {0, 0};
  for (const Fact& fact : facts) {
    uint64_t hash = text_hash(fact.key + "/" + fact.answers[0]);
    bool testable = !fact.test_question.empty();
    bool held_out = testable && is_fact_held_out(kind, fact.key);
    if (!held_out) {
      size_t n = std::min(fact.questions.size(), static_cast<size_t>(options.phrasings));
      for (size_t i = 0; i < n; ++i) {
        const std::string& question = fact.questions[(i + hash) % fact.questions.size()];
        if (!asked.insert(question).second && testable) continue;
        set.chats.push_back({{{"user", question}, {"assistant", fact.answers[0]}}});
      }
    }
    // Trained words are sampled over the whole range of frequencies, held-out ones taken in order.
    bool sampled = held_out || mix_hash(hash) % facts.size() < static_cast<uint64_t>(2 * options.eval);
    if (!testable || !sampled || tested[held_out] >= options.eval) continue;
    ++tested[held_out];
    EvalItem item{kind, fact.test_question, fact.answers, !held_out, held_out ? "held-out word" : "trained word", {}};
    item.choices = distractors(facts, fact, hash);
    item.choices.insert(item.choices.begin() + static_cast<int64_t>(hash % (item.choices.size() + 1)), fact.choice);
    set.eval.push_back(std::move(item));
  }
  return set;
}

}  // namespace unha::corpus
