// SPDX-License-Identifier: Apache-2.0
// WordNet as prose: one paragraph per synset with its words, gloss, examples and what it is a kind of. Synsets that
// follow each other in the database are related, so a document is a run of them.
#include <string>

#include "corpus/extract.h"
#include "corpus/wordnet.h"

namespace unha::corpus {
namespace {
constexpr int kSynsetsPerDocument = 16;

std::string joined_words(const Synset& synset) {
  std::string out;
  for (size_t i = 0; i < synset.words.size(); ++i) out += (i ? ", " : "") + synset.words[i].lemma;
  return out;
}
}  // namespace

void extract_wordnet(const std::filesystem::path& folder, const DocumentSink& sink) {
  WordNet net = WordNet::load(folder);
  std::string text;
  int in_document = 0;
  int64_t number = 0;
  auto flush = [&] {
    if (in_document > 0) sink({"wordnet#" + std::to_string(number++), std::move(text)});
    text.clear();
    in_document = 0;
  };
  char pos = 'n';
  for (const Synset& synset : net.synsets) {
    if (synset.pos != pos) flush();
    pos = synset.pos;
    text += joined_words(synset) + " (" + part_of_speech(synset.pos) + "): " + synset.definition + ".";
    if (synset.pos == 'n' && !synset.hypernyms.empty()) {
      text += " A kind of " + net.synsets[static_cast<size_t>(synset.hypernyms[0])].words[0].lemma + ".";
    }
    for (size_t i = 0; i < synset.examples.size(); ++i) {
      text += (i == 0 ? " For example: \"" : " \"") + synset.examples[i] + "\"";
    }
    text += "\n\n";
    if (++in_document == kSynsetsPerDocument) flush();
  }
  flush();
}

}  // namespace unha::corpus
