// SPDX-License-Identifier: Apache-2.0
// A real GGUF file, SmolLM2-135M-Instruct, which ../shared/models/fetch brings: its tokenizer gives the reference's
// ids, and all its tensors have a place.
#include <gtest/gtest.h>

#include <memory>

#include "base/json.h"
#include "io/file.h"
#include "model/gguf_source.h"
#include "text/test_smollm.h"
#include "text/tokenizer.h"

namespace unha {
namespace {

TEST(GgufSmolLm, TokenIdsEqualTheReference) {
  std::filesystem::path reference = shared_folder() / "models/smollm2.json";
  if (!std::filesystem::exists(reference)) GTEST_SKIP() << reference << " is not there (UNHA_SHARED names its parent)";
  std::string path = fetched_smollm();
  if (path.empty()) GTEST_SKIP() << "models/fetch cannot get the file (no network?)";
  auto source = open_gguf_source(path);
  EXPECT_EQ(source->tensors().size(), 272u);
  for (const SourceTensor* tensor : source->tensors()) EXPECT_TRUE(tensor->name.starts_with("model.")) << tensor->name;
  Json config = parse_json(source->read_text("config.json"), "config.json");
  EXPECT_EQ(config["rope_theta"], 100000.0);
  EXPECT_EQ(config["head_dim"], 64);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  Tokenizer tokenizer = Tokenizer::parse(source->read_text("tokenizer.json"), "tokenizer.json");
  Json golden = parse_json(read_file(reference), "smollm2.json");
  EXPECT_GE(golden["tokens"].size(), 36u);
  for (const Json& row : golden["tokens"]) {
    EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>()), row["ids"].get<std::vector<int32_t>>()) << row["text"];
  }
  for (const Json& row : golden["greedy"]) {
    EXPECT_EQ(tokenizer.encode(row["prompt_text"].get<std::string>()), row["prompt"].get<std::vector<int32_t>>());
  }
}

}  // namespace
}  // namespace unha
