// SPDX-License-Identifier: Apache-2.0
#include "app/template_cmd.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/template_options.h"
#include "base/error.h"
#include "io/gguf_builder.h"

namespace unha {
namespace {

struct Answers {
  std::vector<Json> rows;
  int code;
};

Answers answer(const std::string& name, const std::string& input, Prose prose = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  Answers answers{{}, template_rows(ChatTemplate::named(name, std::move(prose)), in, out)};
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) answers.rows.push_back(parse_json(line, "answer"));
  return answers;
}

TEST(TemplateRows, GiveTextAndParts) {
  auto [rows, code] =
      answer("unha", R"({"messages":[{"role":"user","content":"<user>"}],"options":{"add_generation_prompt":true}})");
  EXPECT_EQ(code, 0);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], parse_json(R"({"text":"<bos><user><user><assistant>","parts":[["control","<bos>"],
      ["control","<user>"],["text","<user>"],["control","<assistant>"]]})",
                                "t"));
}

TEST(TemplateRows, ARefusedRowIsAnAnswerAndOnlyARowThatIsNoneFails) {
  auto refused = answer("unha", R"({"messages":[{"role":"tool","content":"x"}]}
{"messages":[],"tools":[1],"options":{}}
{"messages":3}
)");
  EXPECT_EQ(refused.code, 0);
  ASSERT_EQ(refused.rows.size(), 3u);
  EXPECT_TRUE(refused.rows[0].contains("error"));
  EXPECT_EQ(refused.rows[1]["text"], "<bos>");
  EXPECT_TRUE(refused.rows[2].contains("error"));
  for (const char* bad : {"[]", "{}", "{\"messages\":", "", "7"}) {
    auto failed = answer("unha", std::string(bad) + "\n{\"messages\":[]}\n");
    EXPECT_EQ(failed.code, 1) << bad;
    ASSERT_EQ(failed.rows.size(), 2u) << bad;
    EXPECT_TRUE(failed.rows[0].contains("error")) << bad;
    EXPECT_EQ(failed.rows[1]["text"], "<bos>") << bad;
  }
}

TEST(TemplateProse, IsFoundInModelsAndFiles) {
  namespace fs = std::filesystem;
  fs::path folder = testing::TempDir() + "unha-template-prose";
  fs::remove_all(folder);
  fs::create_directories(folder / "encoding");
  EXPECT_THROW(prose_of_model(folder.string()), Error);
  EXPECT_THROW(prose_of_model((folder / "none").string()), Error);
  EXPECT_THROW(prose_of_file((folder / "none").string()), Error);
  std::string gguf =
      GgufBuilder().string("tokenizer.chat_template", "{{ '<|im_start|>system\\nG<|im_end|>' }}").build();
  std::ofstream(folder / "m.gguf", std::ios::binary) << gguf;
  EXPECT_EQ(prose_of_model(folder.string()).need("default_system", "t"), "G");
  EXPECT_EQ(prose_of_model((folder / "m.gguf").string()).need("default_system", "t"), "G");
  std::ofstream(folder / "encoding/encoding_dsv32.py") << "TOOLS_SYSTEM_TEMPLATE = 'T'\n";
  EXPECT_EQ(prose_of_model(folder.string()).need("tools", "t"), "T");
  EXPECT_EQ(prose_of_model((folder / "encoding/encoding_dsv32.py").string()).need("tools", "t"), "T");
  std::ofstream(folder / "chat_template.jinja") << "{{ '<|im_start|>system\\nS<|im_end|>' }}";
  EXPECT_EQ(prose_of_model(folder.string()).need("default_system", "t"), "S");
  std::ofstream(folder / "prose.json") << R"({"default_system":"P"})";
  EXPECT_EQ(prose_of_file((folder / "prose.json").string()).need("default_system", "t"), "P");
  auto [rows, code] = answer("smollm2", R"({"messages":[{"role":"user","content":"q"}]})",
                             prose_of_file((folder / "prose.json").string()));
  EXPECT_EQ(rows[0]["text"], "<|im_start|>system\nP<|im_end|>\n<|im_start|>user\nq<|im_end|>\n");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace unha
