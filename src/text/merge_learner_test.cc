// SPDX-License-Identifier: Apache-2.0
// The learner against a plain one that recounts everything before each merge.
#include "text/merge_learner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"

namespace unha {
namespace {

std::vector<std::string> bytes_with_specials(std::vector<std::string> specials) {
  for (int byte = 0; byte < 256; ++byte) specials.emplace_back(1, static_cast<char>(byte));
  return specials;
}

LearnedMerges learn_plainly(const std::vector<CountedWord>& words, std::vector<std::string> symbols, int64_t n_special,
                            int64_t vocab_size, int64_t min_count) {
  LearnedMerges result{{}, std::move(symbols)};
  std::vector<std::vector<int32_t>> split;
  for (const CountedWord& word : words) {
    std::vector<int32_t>& ids = split.emplace_back();
    for (char c : word.bytes) ids.push_back(static_cast<int32_t>(n_special) + static_cast<uint8_t>(c));
  }
  while (static_cast<int64_t>(result.tokens.size()) < vocab_size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (size_t w = 0; w < words.size(); ++w) {
      for (size_t i = 0; i + 1 < split[w].size(); ++i) counts[{split[w][i], split[w][i + 1]}] += words[w].count;
    }
    std::pair<int32_t, int32_t> best{-1, -1};
    int64_t best_count = min_count - 1;
    int32_t merged = -1;
    for (const auto& [pair, count] : counts) {
      std::string bytes = result.tokens[pair.first] + result.tokens[pair.second];
      auto same = std::find(result.tokens.begin(), result.tokens.end(), bytes) - result.tokens.begin();
      if (count <= best_count || same < n_special) continue;
      best = pair;
      best_count = count;
      merged = static_cast<int32_t>(same);
    }
    if (merged < 0) break;
    if (merged == static_cast<int32_t>(result.tokens.size())) {
      result.tokens.push_back(result.tokens[best.first] + result.tokens[best.second]);
    }
    result.merges.push_back(best);
    for (auto& ids : split) {
      std::vector<int32_t> next;
      for (size_t i = 0; i < ids.size(); ++i) {
        bool here = i + 1 < ids.size() && ids[i] == best.first && ids[i + 1] == best.second;
        next.push_back(here ? merged : ids[i]);
        i += here;
      }
      ids = std::move(next);
    }
  }
  return result;
}

std::vector<CountedWord> random_words(uint64_t seed, int n, int letters) {
  Rng rng(seed, Purpose::kTest, 0);
  std::map<std::string, int64_t> counts;
  for (int i = 0; i < n; ++i) {
    std::string word;
    int64_t length = rng.between(1, 9);
    for (int64_t k = 0; k < length; ++k) word += static_cast<char>('a' + rng.between(0, letters - 1));
    counts[word] += rng.between(1, 5);
  }
  std::vector<CountedWord> words;
  for (const auto& [word, count] : counts) words.push_back({word, count});
  return words;
}

TEST(LearnMerges, EqualsThePlainLearnerOnRandomWords) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    int letters = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 2 : 5;  // few letters: many overlaps such as aaaa
    std::vector<CountedWord> words = random_words(seed, 120, letters);
    std::vector<std::string> symbols = bytes_with_specials({"<x>", "abab"});
    LearnedMerges fast = learn_merges(words, symbols, 2, 258 + 90, 2);
    LearnedMerges plain = learn_plainly(words, symbols, 2, 258 + 90, 2);
    EXPECT_EQ(fast.merges, plain.merges) << "seed " << seed;
    EXPECT_EQ(fast.tokens, plain.tokens) << "seed " << seed;
  }
}

TEST(LearnMerges, DoesNotDependOnTheOrderOfWords) {
  std::vector<CountedWord> words = random_words(5, 300, 4);
  LearnedMerges forward = learn_merges(words, bytes_with_specials({}), 0, 400, 2);
  std::reverse(words.begin(), words.end());
  EXPECT_EQ(learn_merges(words, bytes_with_specials({}), 0, 400, 2).merges, forward.merges);
}

TEST(LearnMerges, NeverSpellsAControlToken) {
  LearnedMerges learned = learn_merges({{"<bos>", 100}}, bytes_with_specials({"<bos>"}), 1, 1000, 2);
  for (size_t id = 1; id < learned.tokens.size(); ++id) EXPECT_NE(learned.tokens[id], "<bos>");
}

}  // namespace
}  // namespace unha
