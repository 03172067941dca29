// SPDX-License-Identifier: Apache-2.0
// unha run --jsonl and --logprobs: a batch of rows answers as runs of their own do, to the byte.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <sstream>

#include "cli_fixture.h"

namespace unha {
namespace {

class RunRows : public TinyModelCliTest {
 protected:
  // The rows that come out; the exit code is code_.
  std::vector<Json> rows(const std::string& in, std::vector<std::string> more = {}) {
    write_file_atomic(dir_ / "rows.jsonl", in);
    std::vector<std::string> words = {"run", model_, "--jsonl", "-f", dir_ / "rows.jsonl", "--max-tokens", "20"};
    words.insert(words.end(), more.begin(), more.end());
    code_ = cli(words);
    return lines();
  }
  std::vector<Json> lines() const {
    std::vector<Json> all;
    std::istringstream out(out_);
    for (std::string line; std::getline(out, line);) all.push_back(parse_json(line, "output"));
    return all;
  }
  static void expect_same_answer(const Json& row, const Json& alone) {
    for (const char* key : {"text", "ids", "prompt_ids", "finish", "logits_digest"})
      EXPECT_EQ(row[key], alone[key]) << key;
    EXPECT_EQ(row.contains("logprobs"), alone.contains("logprobs"));
    if (row.contains("logprobs")) {
      EXPECT_EQ(row["logprobs"], alone["logprobs"]);
    }
  }

  int code_ = 0;
};

TEST_F(RunRows, ARowsAnswerIsThatOfARunOfItsOwn) {
  const char* in =
      "{\"prompt\": \"Line 7 of a text\", \"seed\": 3}\n"
      "\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Line 7 of\"}], \"max_tokens\": 5}\n"
      "{\"prompt\": \"Line 7 of a text\"}\n"
      "{\"prompt\": \"with 한국어\", \"seed\": 18446744073709551615}";
  for (const std::vector<std::string>& drafts :
       {std::vector<std::string>{}, std::vector<std::string>{"--speculative", "mtp"}}) {
    std::vector<std::string> more = drafts;
    more.insert(more.end(), {"--logprobs", "2", "--seed", "9"});
    std::vector<Json> found = rows(in, more);
    ASSERT_EQ(code_, 0) << out_ << error_;
    ASSERT_EQ(found.size(), 4U);
    auto alone = [&](const char* prompt, const char* seed, const char* tokens) {
      return json({"run", model_, "-p", prompt, "--seed", seed, "--max-tokens", tokens, "--logprobs", "2"});
    };
    expect_same_answer(found[0], alone("Line 7 of a text", "3", "20"));
    expect_same_answer(found[1], alone("Line 7 of", "9", "5"));
    expect_same_answer(found[2], alone("Line 7 of a text", "9", "20"));
    expect_same_answer(found[3], alone("with 한국어", "18446744073709551615", "20"));
    EXPECT_NE(found[0]["ids"], found[2]["ids"]);
    EXPECT_LE(found[1]["ids"].size(), 5U);
  }
}

TEST_F(RunRows, RowsAreReadFromStandardInputToo) {
  std::istringstream in("{\"prompt\": \"Line 1\"}\n{\"prompt\": \"Line 2\"}\n");
  std::streambuf* before = std::cin.rdbuf(in.rdbuf());
  int code = cli({"run", model_, "--jsonl", "--max-tokens", "4"});
  std::cin.rdbuf(before);
  std::cin.clear();
  EXPECT_EQ(code, 0) << error_;
  EXPECT_EQ(lines().size(), 2U);
}

TEST_F(RunRows, ABadRowIsAnErrorAndTheOthersAreAnswered) {
  const std::pair<const char*, const char*> bad[] = {
      {"{\"prompt\": \"x\"", "row 2"},
      {"[1]", "object"},
      {"{}", "prompt"},
      {"{\"prompt\": \"x\", \"messages\": []}", "either"},
      {"{\"prompt\": 1}", "string"},
      {"{\"prompt\": \"x\", \"temperature\": 1}", "temperature"},
      {"{\"prompt\": \"x\", \"seed\": -1}", "seed"},
      {"{\"prompt\": \"x\", \"seed\": 1.5}", "seed"},
      {"{\"prompt\": \"x\", \"max_tokens\": 0}", "max_tokens"},
      {"{\"messages\": [{\"role\": \"robot\", \"content\": \"x\"}]}", "robot"},
      {"\xff", "row 2"},
  };
  Json alone = json({"run", model_, "-p", "Line 1", "--max-tokens", "20"});
  for (const auto& [row, part] : bad) {
    std::vector<Json> found = rows("{\"prompt\": \"Line 1\"}\n" + std::string(row) + "\n{\"prompt\": \"Line 1\"}\n");
    EXPECT_EQ(code_, 1) << row;
    ASSERT_EQ(found.size(), 3U) << row;
    expect_same_answer(found[0], alone);
    expect_same_answer(found[2], alone);
    ASSERT_TRUE(found[1].contains("error")) << row;
    EXPECT_EQ(found[1].size(), 1U);
    EXPECT_NE(found[1]["error"].get<std::string>().find(part), std::string::npos) << found[1].dump();
  }
  std::string longer(3000, 'x');
  std::vector<Json> found = rows("{\"prompt\": \"" + longer + "\"}\n{\"prompt\": \"Line 1\"}\n");
  EXPECT_EQ(code_, 1);
  EXPECT_NE(found[0]["error"].get<std::string>().find("context"), std::string::npos);
  expect_same_answer(found[1], alone);
}

TEST_F(RunRows, LogprobsAreThoseOfTheRawLogits) {
  std::vector<std::string> words = {"run", model_, "-p", "Line 7", "--max-tokens", "12", "--logprobs", "3"};
  Json greedy = json([&] {
    std::vector<std::string> more = words;
    more.insert(more.end(), {"--temperature", "0", "--repetition-penalty", "1"});
    return more;
  }());
  ASSERT_EQ(greedy["logprobs"].size(), greedy["ids"].size());
  for (size_t i = 0; i < greedy["ids"].size(); ++i) {
    const Json& row = greedy["logprobs"][i];
    ASSERT_EQ(row["top"].size(), 3U);
    double mass = 0, before = 0;
    for (const Json& entry : row["top"]) {
      auto logprob = entry[1].get<double>();
      EXPECT_LE(logprob, before);
      before = logprob;
      mass += std::exp(logprob);
    }
    EXPECT_LE(mass, 1 + 1e-12);
    // Padding behind the tokenizer's end is never drawn, but may be the most probable of the raw row.
    bool drawn = row["top"][0][0] == greedy["ids"][i];
    EXPECT_TRUE(drawn || row["top"][0][0].get<int64_t>() >= 299) << row.dump();
    if (drawn) {
      EXPECT_EQ(row["top"][0][1], row["logprob"]);
    }
  }
  // What is asked for beside them changes nothing.
  Json sampled = json(words);
  words.resize(words.size() - 2);
  Json plain = json(words);
  EXPECT_EQ(plain["logits_digest"], sampled["logits_digest"]);
  EXPECT_FALSE(plain.contains("logprobs"));
}

TEST_F(RunRows, OptionsThatContradictAreRefused) {
  EXPECT_EQ(cli({"run", model_, "--jsonl", "-p", "x"}), 2);
  EXPECT_EQ(cli({"run", model_, "--jsonl", "--ids", "1"}), 2);
  EXPECT_EQ(cli({"run", model_, "-p", "x", "--logprobs", "2"}), 2);
  EXPECT_EQ(cli({"run", model_, "-p", "x", "--json", "--logprobs", "-1"}), 2);
  EXPECT_EQ(cli({"run", model_, "--jsonl", "-f", dir_ / "none.jsonl"}), 1);
  EXPECT_EQ(error_.find("unha: error: "), 0U) << error_;
}

TEST_F(RunRows, AMissingModelIsOneLineThatNamesIt) {
  for (const char* command : {"run", "inspect"}) {
    for (const std::string& path : {dir_ / "nowhere", dir_ / "nowhere.gguf", dir_ / "nowhere.safetensors"}) {
      EXPECT_EQ(cli({command, path}), 1);
      EXPECT_EQ(error_.find("unha: error: "), 0U) << error_;
      EXPECT_NE(error_.find("nowhere"), std::string::npos) << error_;
      EXPECT_EQ(std::count(error_.begin(), error_.end(), '\n'), 1) << error_;
      EXPECT_EQ(out_, "");
    }
  }
}

}  // namespace
}  // namespace unha
