// SPDX-License-Identifier: Apache-2.0
// Tokenizers written from GGUF metadata: equal to the tokenizer.json they stand for.
#include "model/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "io/gguf_builder.h"
#include "io/test_dir.h"
#include "text/test_golden_rows.h"
#include "text/test_shared.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace unha {
namespace {

struct Lists {
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;
};

GgufTokenizer made_of(const std::function<void(GgufBuilder&)>& fill, int64_t rows) {
  TestDir dir;
  GgufBuilder builder;
  builder.string("general.architecture", "llama");
  fill(builder);
  write_file_atomic(dir / "m.gguf", builder.build());
  return gguf_tokenizer(open_gguf_model(dir / "m.gguf"), rows);
}

// The symbols of all bytes, then "ab", a control token, and one that a user defined.
Lists byte_lists() {
  Lists lists;
  for (int byte = 0; byte < 256; ++byte) {
    bool shown = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    if (shown) {
      std::string symbol;
      if (byte >= 0x80) symbol = {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 63))};
      lists.tokens.push_back(byte >= 0x80 ? symbol : std::string(1, static_cast<char>(byte)));
    }
  }
  for (int n = 0; n < 68; ++n) {  // the other bytes are U+0100 + n in order
    lists.tokens.push_back({static_cast<char>(0xc4 | n >> 6), static_cast<char>(0x80 | (n & 63))});
  }
  lists.merges = {"a b"};
  lists.types.assign(256, 1);
  for (const char* extra : {"ab", "<s>", "<think>"}) lists.tokens.push_back(extra);
  lists.types.insert(lists.types.end(), {1, 3, 4});
  return lists;
}

void fill_lists(GgufBuilder& builder, const Lists& lists, const std::string& pre, const std::string& model = "gpt2") {
  builder.string("tokenizer.ggml.model", model).strings("tokenizer.ggml.tokens", lists.tokens);
  builder.i32s("tokenizer.ggml.token_type", lists.types).strings("tokenizer.ggml.merges", lists.merges);
  if (!pre.empty()) builder.string("tokenizer.ggml.pre", pre);
}

std::vector<int32_t> ids_of(const std::string& pre, const std::string& text) {
  Lists lists = byte_lists();
  GgufTokenizer made = made_of([&](GgufBuilder& b) { fill_lists(b, lists, pre); }, std::ssize(lists.tokens));
  EXPECT_FALSE(made.unsupported.has_value());
  return Tokenizer::parse(made.json, "tokenizer.json").encode(text);
}

TEST(GgufTokenizer, TokensOfEachKindAreRecognised) {
  Lists lists = byte_lists();
  GgufTokenizer made = made_of(
      [&](GgufBuilder& b) {
        fill_lists(b, lists, "deepseek-v3");
        b.u32("tokenizer.ggml.bos_token_id", 257).boolean("tokenizer.ggml.add_bos_token", true);
        b.string("tokenizer.chat_template", "{{ \"x\" }}\n");
      },
      259);
  Tokenizer tokenizer = Tokenizer::parse(made.json, "tokenizer.json");
  EXPECT_EQ(tokenizer.size(), 259);
  EXPECT_EQ(tokenizer.encode("<s>ab<think>"), (std::vector<int32_t>{257, 256, 258}));
  EXPECT_NE(tokenizer.encode("<s>", {.parse_added = false}), (std::vector<int32_t>{257}));
  EXPECT_TRUE(tokenizer.is_special(257));
  EXPECT_FALSE(tokenizer.is_special(258));
  EXPECT_TRUE(tokenizer.is_added(258));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("\"\\\n\x01 \xE6\xBC\xA2")), "\"\\\n\x01 \xE6\xBC\xA2");
  TokenizerConfig config = TokenizerConfig::parse(made.config, "tokenizer_config.json");
  EXPECT_TRUE(config.add_bos_token);
  EXPECT_EQ(config.bos_token, "<s>");
  EXPECT_FALSE(config.eos_token.has_value());
  EXPECT_EQ(config.chat_template, "{{ \"x\" }}\n");
}

TEST(GgufTokenizer, PreTokenizersCutWhereTheyShould) {
  // "ab" is one token where the two letters share a word.
  auto count = [](const std::string& pre, const std::string& text) { return ids_of(pre, text).size(); };
  for (const char* pre : {"deepseek-v3", "deepseek-llm", "deepseek-coder", "qwen2", "deepseek-r1-qwen", "llama-bpe",
                          "smollm", "gpt-2", "default", ""}) {
    EXPECT_EQ(count(pre, "ab"), 1u) << pre;
    EXPECT_EQ(count(pre, "ab ab"), 3u) << pre;
    EXPECT_EQ(count(pre, "a\nb"), 3u) << pre;
  }
  // Composed by NFC: U+0041 U+030A becomes the two bytes of U+00C5, else it stays three.
  EXPECT_EQ(count("qwen2", "A\xCC\x8A"), 2u);
  EXPECT_EQ(count("llama-bpe", "A\xCC\x8A"), 3u);
}

TEST(GgufTokenizer, BadListsAreRefusedByKey) {
  Lists lists = byte_lists();
  auto refused = [&](const std::string& part, const Lists& bad, int64_t rows = 259) {
    expect_error(ErrorCode::kInvalidArgument, part,
                 [&] { made_of([&](GgufBuilder& b) { fill_lists(b, bad, "qwen2"); }, rows); });
  };
  refused("key \"tokenizer.ggml.tokens\": 259 tokens for 260 rows", lists, 260);
  Lists few = lists;
  few.types.pop_back();
  refused("key \"tokenizer.ggml.token_type\": expected one for each of 259 tokens, found 258", few);
  Lists twice = lists;
  twice.tokens[7] = "ab";
  refused("tokens 7 and 256 are both \"ab\"", twice);
  Lists broken = lists;
  broken.tokens[7] = "\xff";
  refused("string 7 is not UTF-8", broken);
  expect_error(ErrorCode::kInvalidArgument, "tokenizer.ggml.tokens", [&] { made_of([](GgufBuilder&) {}, 5); });
  expect_error(ErrorCode::kInvalidArgument,
               "key \"tokenizer.ggml.eos_token_id\": expected a whole number from 0 to 258", [&] {
                 made_of(
                     [&](GgufBuilder& b) {
                       fill_lists(b, lists, "qwen2");
                       b.u32("tokenizer.ggml.eos_token_id", 259);
                     },
                     259);
               });
  for (const auto& kind : {std::pair{"tekken", "gpt2"}, std::pair{"qwen2", "llama"}}) {
    GgufTokenizer made = made_of([&](GgufBuilder& b) { fill_lists(b, lists, kind.first, kind.second); }, 259);
    ASSERT_TRUE(made.unsupported.has_value()) << kind.first;
    EXPECT_NE(made.unsupported->message().find("m.gguf: key \"tokenizer.ggml."), std::string::npos);
  }
}

// The shared stand-ins, taken apart into GGUF's lists and put together again.
class GgufTokenizerForms : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(GgufTokenizerForms, IdsEqualThoseOfTheFile) {
  const char* form = GetParam().first;
  const char* pre = GetParam().second;
  std::filesystem::path folder = shared_folder() / "tokenizers" / form;
  if (!std::filesystem::exists(folder / "golden.json"))
    GTEST_SKIP() << folder << " is not there (UNHA_SHARED names its parent)";
  Tokenizer original = Tokenizer::load(folder);
  Json file = parse_json(original.json(), "tokenizer.json");
  Lists lists;
  for (int32_t id = 0; id < original.size(); ++id) {
    lists.tokens.push_back(std::string(original.token_string(id)));
    lists.types.push_back(!original.is_added(id) ? 1 : original.is_special(id) ? 3 : 4);
  }
  for (const Json& merge : file["model"]["merges"]) {
    lists.merges.push_back(merge.is_array() ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                                            : merge.get<std::string>());
  }
  GgufTokenizer made = made_of([&](GgufBuilder& b) { fill_lists(b, lists, pre); }, original.size());
  Tokenizer tokenizer = Tokenizer::parse(made.json, "tokenizer.json");
  Json golden = parse_json(read_file(folder / "golden.json"), "golden.json");
  int rows = 0;
  for (const Json& row : golden["rows"]) {
    auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, {.parse_added = false}), original.encode(text, {.parse_added = false}))
        << row["text"].dump(-1, ' ', true).substr(0, 200);
    ++rows;
  }
  EXPECT_GT(rows, 200);
}

INSTANTIATE_TEST_SUITE_P(Shared, GgufTokenizerForms,
                         testing::Values(std::pair{"v3-form", "deepseek-v3"}, std::pair{"v2-form", "deepseek-llm"},
                                         std::pair{"qwen2-form", "qwen2"}, std::pair{"llama3-form", "llama-bpe"}),
                         [](const auto& form) { return std::string(form.param.first).substr(0, 2); });

}  // namespace
}  // namespace unha
