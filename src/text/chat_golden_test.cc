// SPDX-License-Identifier: Apache-2.0
// Every row of shared/chat-golden.json whose model has a template here: text and parts, or a refusal. The vendors'
// sentences are taken from the rows themselves: one row gives them, the others prove them.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/read_file.h"
#include "text/test_shared.h"

namespace unha {
namespace {

const std::set<std::string> kLater = {"deepseek-v4"};

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  size_t from = text.find(begin);
  if (from == std::string::npos) throw Error(ErrorCode::kNotFound, "no " + begin);
  from += begin.size();
  size_t to = text.find(end, from);
  if (to == std::string::npos) throw Error(ErrorCode::kNotFound, "no " + end);
  return text.substr(from, to - from);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

class ChatGolden : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::path file = shared_folder() / "chat-golden.json";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
    rows_ = parse_json(read_whole_file(file), "chat-golden.json")["rows"];
    ASSERT_GT(rows_.size(), 400u);
    prose_ = read_prose();
  }

  std::string text_of(const std::string& model, const std::string& name) const {
    for (const Json& row : rows_) {
      if (row["model"] == model && row["name"] == name) return row["text"];
    }
    throw Error(ErrorCode::kNotFound, "no row " + name);
  }

  Prose read_prose() const {
    Prose prose;
    prose.set("default_system", between(text_of("smollm2", "single"), "<|im_start|>system\n", "<|im_end|>"));
    std::string tools = between(text_of("deepseek-v3.2", "e-tools"), "S\n\n", "<｜User｜>");
    size_t end = tools.rfind("\n</functions>");
    size_t begin = tools.rfind("<functions>\n", end) + std::string("<functions>\n").size();
    tools = tools.substr(0, begin) + "\x01" + tools.substr(end);
    tools = replaced(replaced(tools, "{", "{{"), "}", "}}");
    tools = replaced(replaced(tools, "｜DSML｜", "{dsml_token}"), "\x01", "{tool_schemas}");
    tools = replaced(replaced(tools, "<think>", "{thinking_start_token}"), "</think>", "{thinking_end_token}");
    prose.set("tools", tools);
    std::string format = text_of("deepseek-v3.2", "e-response-format");
    prose.set("response_format", between(format, "S\n\n", "{\"type\"") + "{schema}");
    prose.set("developer", between(text_of("deepseek-v3.2", "e-developer"), "\n</functions>\n", "dev text") + "{}");
    return prose;
  }

  Json rows_;
  Prose prose_;
};

Json parts_json(const std::vector<ChatPiece>& pieces) {
  Json parts = Json::array();
  for (const ChatPiece& piece : pieces) parts.push_back({piece.control ? "control" : "text", piece.text});
  return parts;
}

TEST_F(ChatGolden, EveryRowIsRenderedOrRefusedAsTheReferenceDoes) {
  std::map<std::string, int> rendered;
  for (const Json& row : rows_) {
    std::string model = row["model"];
    if (kLater.contains(model)) continue;
    SCOPED_TRACE(model + " " + row["name"].get<std::string>() + " " + row["options"].dump());
    std::string text, refusal;
    Json parts;
    try {
      auto chat = ChatTemplate::named(model, prose_);
      auto pieces = chat.render(read_any_messages(row["messages"], "row"), read_chat_options(row["options"], "row"));
      text = joined_text(pieces);
      parts = parts_json(pieces);
    } catch (const Error& error) {
      refusal = error.message();
    }
    if (row.contains("error")) {
      EXPECT_FALSE(refusal.empty()) << text;
      continue;
    }
    EXPECT_EQ(refusal, "");
    EXPECT_EQ(text, row["text"]);
    if (row.contains("parts")) {
      EXPECT_EQ(parts, row["parts"]);
    }
    ++rendered[model];
  }
  EXPECT_GE(rendered.size(), 12u);
}

TEST_F(ChatGolden, WithoutProseSuchARowIsRefusedByName) {
  int refused = 0;
  for (const Json& row : rows_) {
    if (row["model"] != "smollm2" || row["name"] != "single") continue;
    try {
      ChatTemplate::named("smollm2").render(read_any_messages(row["messages"], "row"), {});
    } catch (const Error& error) {
      EXPECT_NE(error.message().find("default_system"), std::string::npos);
      ++refused;
    }
  }
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace unha
