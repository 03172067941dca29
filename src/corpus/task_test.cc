// SPDX-License-Identifier: Apache-2.0
// Every generated answer is checked by a second implementation written here, from the numbers in the question alone.
#include "corpus/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>

#include "base/error.h"
#include "corpus/facts.h"
#include "corpus/phrase.h"
#include "corpus/smalltalk.h"
#include "io/file.h"
#include "io/test_dir.h"

namespace unha::corpus {
namespace {

// Without fsync: tests write many small files.
void write_input(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::vector<long> numbers_in(const std::string& text) {
  std::vector<long> numbers;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!isdigit(static_cast<unsigned char>(text[i]))) continue;
    size_t end = i;
    while (end < text.size() && isdigit(static_cast<unsigned char>(text[end]))) ++end;
    numbers.push_back(std::stol(text.substr(i, end - i)));
    i = end;
  }
  return numbers;
}

bool has(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* w) { return text.find(w) != std::string::npos; });
}

std::string joined(const std::vector<long>& numbers) {
  std::string out;
  for (long n : numbers) out += (out.empty() ? "" : ", ") + std::to_string(n);
  return out;
}

// The oracle: other code, other parsing.
std::string oracle(const std::string& task, const std::string& question) {
  std::vector<long> n = numbers_in(question);
  if (task == "addition") return std::to_string(n.at(0) + n.at(1));
  if (task == "subtraction") return std::to_string(has(question, {"Subtract"}) ? n.at(1) - n.at(0) : n.at(0) - n.at(1));
  if (task == "multiplication") {
    long product = 0;
    for (long i = 0; i < n.at(1); ++i) product += n.at(0);
    return std::to_string(product);
  }
  bool small = has(question, {"small", "less", "lower", "minimum"});
  if (task == "comparison" || task == "extreme") {
    return std::to_string(small ? *std::min_element(n.begin(), n.end()) : *std::max_element(n.begin(), n.end()));
  }
  if (task == "sorting") {
    bool down = has(question, {"descending", "largest to", "largest first"});
    for (size_t i = 0; i < n.size(); ++i) {
      for (size_t j = i + 1; j < n.size(); ++j) {
        if (down ? n[i] < n[j] : n[i] > n[j]) std::swap(n[i], n[j]);
      }
    }
    return joined(n);
  }
  if (task == "reversal") return joined({n.rbegin(), n.rend()});
  if (task == "counting") return std::to_string(std::count(question.begin(), question.end(), ',') + 1);
  if (task == "neighbour") return std::to_string(n.at(0) + (has(question, {"before", "precedes"}) ? -1 : 1));
  if (task == "parity") return n.at(0) % 2 ? "odd" : "even";
  if (task == "weekday") {
    const char* days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    long at = 0;
    while (!has(question, {days[at]})) ++at;
    for (long i = 0; i < n.at(0); ++i) at = has(question, {"before"}) ? (at == 0 ? 6 : at - 1) : (at == 6 ? 0 : at + 1);
    return days[at];
  }
  return "?";
}

class EveryTask : public testing::TestWithParam<std::string> {};

TEST_P(EveryTask, AgreesWithASecondImplementation) {
  std::unique_ptr<Task> task = make_task(GetParam());
  for (bool in_range : {true, false}) {
    for (uint64_t i = 0; i < 2000; ++i) {
      Rng rng(7, Purpose::kTest, i);
      Problem p = task->draw(rng, in_range);
      ASSERT_EQ(p.answer, oracle(GetParam(), p.question)) << p.question;
      ASSERT_EQ(task->solve(p.question), p.answer) << p.question;
      ASSERT_TRUE(task->verify(p.question, with_think(p.think, p.answer))) << p.question;
      ASSERT_FALSE(task->verify(p.question, p.answer + "0")) << p.question;
      ASSERT_FALSE(task->verify(p.question, "The answer is " + p.answer)) << p.question;
      ASSERT_FALSE(task->verify(p.question + "?", p.answer)) << p.question;
    }
  }
}

TEST_P(EveryTask, NeverTrainsOnReservedOperands) {
  std::unique_ptr<Task> task = make_task(GetParam());
  TaskSet set = generate_task(*task, 3, 1500, 60);
  std::set<std::vector<long>> trained;
  for (const Chat& chat : set.chats) {
    ASSERT_EQ(chat.messages.size(), 2u);
    EXPECT_TRUE(task->verify(chat.messages[0].content, chat.messages[1].content)) << chat.messages[0].content;
    trained.insert(numbers_in(chat.messages[0].content));
  }
  bool seen[2] = {false, false};
  for (const EvalItem& item : set.eval) {
    EXPECT_EQ(item.accepted[0], oracle(GetParam(), item.question));
    seen[item.in_range] = true;
    // A weekday's key has the day in it, a difference read "Subtract b from a" lists its numbers the other way.
    if (GetParam() != "weekday" && GetParam() != "subtraction") {
      EXPECT_FALSE(trained.count(numbers_in(item.question))) << item.question;
    }
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

TEST_P(EveryTask, ALongerSetBeginsWithTheShorterOne) {
  std::unique_ptr<Task> task = make_task(GetParam());
  TaskSet few = generate_task(*task, 3, 50, 5);
  TaskSet many = generate_task(*task, 3, 100, 5);
  ASSERT_GE(many.chats.size(), few.chats.size());
  for (size_t i = 0; i < few.chats.size(); ++i)
    EXPECT_EQ(few.chats[i].messages[0].content, many.chats[i].messages[0].content);
}

INSTANTIATE_TEST_SUITE_P(Tasks, EveryTask, testing::ValuesIn(task_names()), [](const auto& row) { return row.param; });

TEST(FinalAnswer, IsWhatFollowsTheOneThinkBlock) {
  EXPECT_EQ(final_answer("42"), "42");
  EXPECT_EQ(final_answer(" <think>\n1\n</think>\n42\n"), "42");
  EXPECT_EQ(final_answer("<think>42"), std::nullopt);
  EXPECT_EQ(final_answer("<think>1</think>2<think>3</think>42"), std::nullopt);
  EXPECT_EQ(final_answer("x <think>1</think>42"), std::nullopt);
}

TEST(Verify, TakesNoNearMiss) {
  auto task = make_task("addition");
  EXPECT_TRUE(task->verify("What is 2 + 3?", "5"));
  for (const char* wrong : {"5.", "05", "+5", "5 6", "5, 5", "6", "", "five", "2 + 3 = 5", "<think>5</think>"}) {
    EXPECT_FALSE(task->verify("What is 2 + 3?", wrong)) << wrong;
  }
  EXPECT_FALSE(task->verify("What is 02 + 3?", "5"));
  EXPECT_FALSE(task->verify("What is the capital of France?", "5"));
  EXPECT_FALSE(make_task("sorting")->verify("Sort 3, 1 in ascending order.", "1,3"));
  EXPECT_TRUE(make_task("subtraction")->verify("3 - 5", "-2"));
}

TEST(MakeTask, ListsTheTasksForAnUnknownName) {
  expect_error(ErrorCode::kInvalidArgument, "addition", [] { make_task("telepathy"); });
}

TEST(Phrase, MatchesExactlyWhatFillWrites) {
  EXPECT_EQ(fill("{x} has {a}", {{"x", "Ida"}, {"a", "3"}}), "Ida has 3");
  EXPECT_TRUE(match("{x} has {a} {things}; {things}", "Ida has 3 eggs; eggs"));
  EXPECT_FALSE(match("{x} has {a} {things}; {things}", "Ida has 3 eggs; cards"));
  EXPECT_FALSE(match("{a} + {b}", "3 + 4 = ?"));
  EXPECT_FALSE(match("{list}", "1, 2,3"));
  EXPECT_FALSE(parse_integer("1234567890123456789"));
  EXPECT_FALSE(parse_integer("-0"));
}

TEST(Smalltalk, IsReproducibleAlternatesAndNeverAsksReservedSums) {
  std::vector<Chat> chats = generate_smalltalk(5, 400);
  std::vector<Chat> again = generate_smalltalk(5, 400);
  auto task = make_task("addition");
  std::set<std::string> replies;
  for (size_t i = 0; i < chats.size(); ++i) {
    const auto& messages = chats[i].messages;
    ASSERT_EQ(messages.size(), again[i].messages.size());
    ASSERT_EQ(messages.size() % 2, 0u);
    for (size_t m = 0; m < messages.size(); ++m) {
      EXPECT_EQ(messages[m].content, again[i].messages[m].content);
      EXPECT_EQ(messages[m].role, m % 2 ? "assistant" : "user");
      EXPECT_EQ(messages[m].content.find('{'), std::string::npos);
      if (m % 2 && task->solve(messages[m - 1].content)) {
        EXPECT_TRUE(task->verify(messages[m - 1].content, messages[m].content));
      }
      if (m % 2) replies.insert(messages[m].content);
    }
  }
  EXPECT_GT(replies.size(), 60u);
}

TEST(Facts, HoldOutATenthOfTheWordsAndAWording) {
  TestDir dir;
  std::string nouns;
  std::string counts;
  for (int i = 0; i < 300; ++i) {
    std::string word = {static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26), 'o'};
    nouns += fmt::format("{:08d} 03 n 01 {} 0 000 | meaning number {}\n", 100 + i, word, i);
    counts += fmt::format("{}%1:03:00:: 1 9\n", word);
  }
  write_input(dir / "data.noun", nouns);
  for (const char* name : {"data.verb", "data.adj", "data.adv"}) write_input(dir / name, "");
  write_input(dir / "cntlist.rev", counts);
  FactOptions options;
  options.phrasings = 3;
  options.eval = 40;
  FactSet set = generate_facts("definition", dir.path(), options);
  std::set<std::string> trained, questions;
  for (const Chat& chat : set.chats) {
    trained.insert(chat.messages[1].content);
    questions.insert(chat.messages[0].content);
  }
  EXPECT_EQ(set.chats.size(), trained.size() * 3);
  EXPECT_GT(trained.size(), 240u);
  EXPECT_LT(trained.size(), 295u);
  int64_t held_out = 0;
  for (const EvalItem& item : set.eval) {
    EXPECT_FALSE(questions.count(item.question));
    EXPECT_EQ(trained.count(item.accepted[0]), item.in_range ? 1u : 0u);
    EXPECT_EQ(item.choices.size(), 4u);
    EXPECT_EQ(std::count(item.choices.begin(), item.choices.end(), item.accepted[0]), 1);
    held_out += !item.in_range;
  }
  EXPECT_EQ(held_out, static_cast<int64_t>(300 - trained.size() < 40 ? 300 - trained.size() : 40));
  expect_error(ErrorCode::kNotFound, "opposite", [&] { generate_facts("opposite", dir.path(), options); });
}

}  // namespace
}  // namespace unha::corpus
