// SPDX-License-Identifier: Apache-2.0
// The loader on files made here: what it reads, and what it refuses by name.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_level.h"

namespace unha {
namespace {

// All 256 bytes at ids 0-255, then "ab", "abc", "bc"; no splits.
Json plain_file() {
  ByteLevel bytes;
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    vocab[bytes.spell({&c, 1})] = byte;
  }
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  vocab["bc"] = 258;
  Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"added_tokens", Json::array()},
          {"pre_tokenizer", byte_level},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json({"b c", "a b"})}}}};
}

Json added(int id, const char* content, bool normalized, std::initializer_list<const char*> flags = {}) {
  Json token = {{"id", id},        {"content", content}, {"single_word", false},    {"lstrip", false},
                {"rstrip", false}, {"special", true},    {"normalized", normalized}};
  for (const char* name : flags) token[name] = true;
  return token;
}

Tokenizer load(const Json& file) { return Tokenizer::parse(file.dump(), "file"); }

using Ids = std::vector<int32_t>;

TEST(Tokenizer, MergesByRankThenFromTheLeft) {
  Tokenizer tokenizer = load(plain_file());
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{'a', 258}));
  EXPECT_EQ(tokenizer.encode("abab"), (Ids{256, 256}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
  EXPECT_EQ(tokenizer.size(), 259);
  EXPECT_EQ(tokenizer.decode(Ids{'a', 9999, -1, 258}), "abc");
}

TEST(Tokenizer, LongWordsMergeAsShortOnes) {
  Tokenizer tokenizer = load(plain_file());
  std::string text;
  Ids expected;
  for (int i = 0; i < 3000; ++i) {
    text += i % 3 ? "ab" : "abcx";
    if (i % 3) {
      expected.push_back(256);
    } else {
      expected.insert(expected.end(), {'a', 258, 'x'});
    }
  }
  EXPECT_EQ(tokenizer.encode(text), expected);
}

TEST(Tokenizer, IgnoreMergesTakesWholeWordsButNeverControlTokens) {
  Json file = plain_file();
  file["model"]["ignore_merges"] = true;
  file["model"]["vocab"]["<x>"] = 259;
  file["added_tokens"].push_back(added(259, "<x>", false));
  Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("abc"), Ids{257});
  EXPECT_EQ(tokenizer.encode("<x>"), Ids{259});
  EXPECT_EQ(tokenizer.encode("<x>", {.parse_added = false}), (Ids{'<', 'x', '>'}));
}

TEST(Tokenizer, AddedTokensTakeSpaceAndNeedWordBoundariesAsFlagged) {
  Json file = plain_file();
  file["added_tokens"] = {added(300, "<L>", false, {"lstrip"}), added(301, "<R>", false, {"rstrip"}),
                          added(302, "dog", false, {"single_word"}), added(303, "<LL>", false)};
  Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("a \n<L>x"), (Ids{'a', 300, 'x'}));
  EXPECT_EQ(tokenizer.encode("a<R> \tx"), (Ids{'a', 301, 'x'}));
  EXPECT_EQ(tokenizer.encode("<R> <L>"), (Ids{301, 300}));
  EXPECT_EQ(tokenizer.encode("dogs dog"), (Ids{'d', 'o', 'g', 's', ' ', 302}));
  EXPECT_EQ(tokenizer.encode("<LL"), (Ids{'<', 'L', 'L'}));
}

TEST(Tokenizer, NormalizedTokensAreFoundInNormalizedText) {
  Json file = plain_file();
  file["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", Json::array({{{"type", "NFKC"}}, {{"type", "Lowercase"}}})}};
  file["added_tokens"] = {added(300, "Tag", true), added(301, "Raw", false)};
  Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("ＴＡＧ"), Ids{300});
  EXPECT_EQ(tokenizer.encode("RawRAW"), (Ids{301, 'r', 'a', 'w'}));
}

TEST(Tokenizer, PreTokenizersCutAsTheReference) {
  auto encode_with = [](Json steps, const std::string& text) {
    // Merges across the hyphen show where the cuts are.
    Json file = plain_file();
    file["model"]["vocab"]["--"] = 259;
    file["model"]["vocab"]["a-"] = 260;
    file["model"]["vocab"]["-a"] = 261;
    file["model"]["merges"] = {"- -", "a -", "- a"};
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
    file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
    return load(file).encode(text);
  };
  auto split = [](const char* behavior, bool invert = false) {
    return Json::array(
        {{{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}}});
  };
  EXPECT_EQ(encode_with(split("Isolated"), "a--a"), (Ids{'a', '-', '-', 'a'}));
  EXPECT_EQ(encode_with(split("Removed"), "a--a"), (Ids{'a', 'a'}));
  EXPECT_EQ(encode_with(split("Removed", true), "a--a"), (Ids{'-', '-'}));
  EXPECT_EQ(encode_with(split("MergedWithPrevious"), "a--a"), (Ids{260, '-', 'a'}));
  EXPECT_EQ(encode_with(split("MergedWithNext"), "a--a"), (Ids{'a', '-', 261}));
  EXPECT_EQ(encode_with(split("Contiguous"), "a--a"), (Ids{'a', 259, 'a'}));
}

TEST(Tokenizer, ByteLevelMaySplitAndAddASpace) {
  Json file = plain_file();
  file["pre_tokenizer"] = {{"type", "ByteLevel"}};  // both switches default to true
  Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{' ', 'a', 258}));
  EXPECT_EQ(tokenizer.encode(" abc"), (Ids{' ', 'a', 258}));
  EXPECT_EQ(tokenizer.encode("b c"), (Ids{' ', 'b', ' ', 'c'}));
}

TEST(Tokenizer, TemplatesAddTokensOnlyWhenAsked) {
  Json file = plain_file();
  file["added_tokens"] = {added(300, "<s>", false), added(301, "</s>", false)};
  Json piece_s = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  Json piece_e = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
  Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", Json::array({piece_s, sequence, piece_e})},
                            {"pair", Json::array()},
                            {"special_tokens",
                             {{"<s>", {{"id", "<s>"}, {"ids", {300}}, {"tokens", {"<s>"}}}},
                              {"</s>", {{"id", "</s>"}, {"ids", {301}}, {"tokens", {"</s>"}}}}}}};
  Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("a"), Ids{'a'});
  EXPECT_EQ(tokenizer.encode("a", {.add_special = true}), (Ids{300, 'a', 301}));
  EXPECT_EQ(tokenizer.encode("", {.add_special = true}), (Ids{300, 301}));
}

TEST(Tokenizer, RefusesByNameWhatItDoesNotDo) {
  struct Case {
    const char* what;  // must occur in the message
    std::function<void(Json&)> change;
  };
  const std::vector<Case> cases = {
      {"WordPiece", [](Json& f) { f["model"]["type"] = "WordPiece"; }},
      {"dropout", [](Json& f) { f["model"]["dropout"] = 0.1; }},
      {"byte_fallback", [](Json& f) { f["model"]["byte_fallback"] = true; }},
      {"end_of_word_suffix", [](Json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }},
      {"surprise", [](Json& f) { f["model"]["surprise"] = 1; }},
      {"surprise", [](Json& f) { f["surprise"] = 1; }},
      {"Metaspace",
       [](Json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}};
       }},
      {"no pre_tokenizer", [](Json& f) { f["pre_tokenizer"] = nullptr; }},
      {"last step",
       [](Json& f) {
         f["pre_tokenizer"] = {{"type", "Digits"}};
       }},
      {"Replace",
       [](Json& f) {
         f["normalizer"] = {{"type", "Replace"}};
       }},
      {"ByteFallback",
       [](Json& f) {
         f["decoder"] = {{"type", "ByteFallback"}};
       }},
      {"no decoder", [](Json& f) { f.erase("decoder"); }},
      {"BertProcessing",
       [](Json& f) {
         f["post_processor"] = {{"type", "BertProcessing"}};
       }},
      {"truncation",
       [](Json& f) {
         f["truncation"] = {{"max_length", 4}};
       }},
      {"padding", [](Json& f) { f["padding"] = Json::object(); }},
      {"2.0", [](Json& f) { f["version"] = "2.0"; }},
      {"\"zz\"", [](Json& f) { f["model"]["merges"].push_back("a zz"); }},
      {"merge 2", [](Json& f) { f["model"]["merges"].push_back("a b c"); }},
      {"twice", [](Json& f) { f["model"]["merges"].push_back("a b"); }},
      {"two tokens", [](Json& f) { f["model"]["vocab"]["zz"] = 5; }},
      {"\"zz\"", [](Json& f) { f["model"]["vocab"]["zz"] = -1; }},
      {"\"zz\"", [](Json& f) { f["model"]["vocab"]["zz"] = 1.5; }},
      {"contradicts", [](Json& f) { f["added_tokens"].push_back(added(7, "<x>", false)); }},
      {"contradicts", [](Json& f) { f["added_tokens"].push_back(added(300, "ab", false)); }},
      {"id", [](Json& f) { f["added_tokens"].push_back(added(1 << 30, "<x>", false)); }},
      {"empty", [](Json& f) { f["added_tokens"].push_back(added(300, "", false)); }},
      {"behavior",
       [](Json& f) {
         f["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Sideways"}};
       }},
  };
  for (const Case& c : cases) {
    Json file = plain_file();
    c.change(file);
    try {
      load(file);
      ADD_FAILURE() << c.what << " was accepted";
    } catch (const Error& e) {
      EXPECT_NE(e.message().find(c.what), std::string::npos) << e.message();
      EXPECT_EQ(e.message().substr(0, 4), "file");
    }
  }
  EXPECT_THROW(Tokenizer::parse("{", "file"), Error);
  EXPECT_THROW(Tokenizer::parse("[]", "file"), Error);
  EXPECT_THROW(Tokenizer::load("/nonexistent/tokenizer.json"), Error);
}

TEST(Tokenizer, RefusesTextItCannotEncode) {
  Json file = plain_file();
  Tokenizer tokenizer = load(file);
  EXPECT_THROW(tokenizer.encode("a\xff"), Error);
  file["model"]["vocab"].erase("z");
  EXPECT_THROW(load(file).encode("z"), Error);
}

TEST(Tokenizer, EncodesFromManyThreadsAtOnce) {
  Tokenizer tokenizer = load(plain_file());
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "abc" + std::to_string(i * 7919);
  Ids expected = tokenizer.encode(text);
  std::vector<std::thread> threads;
  std::vector<Ids> results(4);
  for (Ids& result : results) threads.emplace_back([&] { result = tokenizer.encode(text); });
  for (std::thread& t : threads) t.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace unha
