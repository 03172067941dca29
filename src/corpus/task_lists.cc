// SPDX-License-Identifier: Apache-2.0
// Tasks on lists of numbers: sorting (insertion sort in the trace), the largest or smallest, reversing, counting.
#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "corpus/phrase.h"
#include "corpus/task.h"

namespace unha::corpus {
namespace {

constexpr int64_t kShortest = 3;
constexpr int64_t kTrainedLength = 6;  // longer lists, up to kLongest, are the unseen range
constexpr int64_t kLongest = 8;

std::vector<int64_t> draw_list(Rng& rng, bool in_range) {
  int64_t n = in_range ? rng.between(kShortest, kTrainedLength) : rng.between(kTrainedLength + 1, kLongest);
  int64_t top = rng.below(2) ? 20 : 99;
  std::vector<int64_t> numbers;
  while (static_cast<int64_t>(numbers.size()) < n) numbers.push_back(rng.between(0, top));
  return numbers;
}

template <size_t N>
Problem problem_of(Rng& rng, const std::array<std::string_view, N>& patterns, const std::vector<int64_t>& numbers,
                   size_t& pattern) {
  pattern = rng.below(N);
  Problem p;
  p.key = join_integers(numbers);
  p.question = fill(patterns[pattern], {{"list", p.key}});
  p.group = fmt::format("{} numbers", numbers.size());
  return p;
}

template <size_t N, class Answer>
std::optional<std::string> solve_list(const std::array<std::string_view, N>& patterns, std::string_view question,
                                      const Answer& answer) {
  for (size_t i = 0; i < N; ++i) {
    if (auto values = match(patterns[i], question)) return answer(*parse_integers(values->at("list")), i);
  }
  return std::nullopt;
}

// The first half ascending, the second half descending.
constexpr std::array<std::string_view, 8> kSorting = {"Sort {list} in ascending order.",
                                                      "Sort these numbers from smallest to largest: {list}",
                                                      "Put these numbers in order: {list}",
                                                      "Sort the list {list}.",
                                                      "Sort {list} in descending order.",
                                                      "Sort these numbers from largest to smallest: {list}",
                                                      "Put these numbers in order, largest first: {list}",
                                                      "Sort the list {list} with the largest first."};

class Sorting : public Task {
 public:
  std::string name() const override { return "sorting"; }
  Problem draw(Rng& rng, bool in_range) const override {
    std::vector<int64_t> numbers = draw_list(rng, in_range);
    size_t pattern = 0;
    Problem p = problem_of(rng, kSorting, numbers, pattern);
    bool ascending = pattern < kSorting.size() / 2;
    std::vector<int64_t> sorted;
    for (int64_t number : numbers) {
      auto before = [&](int64_t other) { return ascending ? other <= number : other >= number; };
      sorted.insert(std::find_if_not(sorted.begin(), sorted.end(), before), number);
      p.think += fmt::format("{}{}: {}", p.think.empty() ? "" : "\n", number, join_integers(sorted));
    }
    p.answer = join_integers(sorted);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_list(kSorting, question, [](std::vector<int64_t> numbers, size_t i) {
      std::sort(numbers.begin(), numbers.end());
      if (i >= kSorting.size() / 2) std::reverse(numbers.begin(), numbers.end());
      return join_integers(numbers);
    });
  }
};

constexpr std::array<std::string_view, 6> kExtreme = {"What is the largest number in {list}?",
                                                      "Which of these numbers is the largest: {list}",
                                                      "Find the maximum of {list}.",
                                                      "What is the smallest number in {list}?",
                                                      "Which of these numbers is the smallest: {list}",
                                                      "Find the minimum of {list}."};

class Extreme : public Task {
 public:
  std::string name() const override { return "extreme"; }
  Problem draw(Rng& rng, bool in_range) const override {
    std::vector<int64_t> numbers = draw_list(rng, in_range);
    size_t pattern = 0;
    Problem p = problem_of(rng, kExtreme, numbers, pattern);
    bool largest = pattern < kExtreme.size() / 2;
    int64_t best = numbers[0];
    p.think = std::to_string(best);
    for (size_t i = 1; i < numbers.size(); ++i) {
      bool better = largest ? numbers[i] > best : numbers[i] < best;
      if (better) best = numbers[i];
      p.think += fmt::format("\n{}: {}{}", numbers[i], better ? "now " : "still ", best);
    }
    p.answer = std::to_string(best);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_list(kExtreme, question, [](const std::vector<int64_t>& numbers, size_t i) {
      return std::to_string(i < kExtreme.size() / 2 ? *std::max_element(numbers.begin(), numbers.end())
                                                    : *std::min_element(numbers.begin(), numbers.end()));
    });
  }
};

constexpr std::array<std::string_view, 3> kReversal = {"Reverse the list {list}.", "Write this list backwards: {list}",
                                                       "What is {list} in reverse order?"};

class Reversal : public Task {
 public:
  std::string name() const override { return "reversal"; }
  Problem draw(Rng& rng, bool in_range) const override {
    std::vector<int64_t> numbers = draw_list(rng, in_range);
    size_t pattern = 0;
    Problem p = problem_of(rng, kReversal, numbers, pattern);
    std::string reversed;
    for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
      reversed += (reversed.empty() ? "" : ", ") + std::to_string(*number);
    }
    p.answer = reversed;
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_list(kReversal, question, [](std::vector<int64_t> numbers, size_t) {
      std::reverse(numbers.begin(), numbers.end());
      return join_integers(numbers);
    });
  }
};

constexpr std::array<std::string_view, 3> kCounting = {"How many numbers are in the list {list}?",
                                                       "Count these numbers: {list}", "How long is the list {list}?"};

class Counting : public Task {
 public:
  std::string name() const override { return "counting"; }
  Problem draw(Rng& rng, bool in_range) const override {
    std::vector<int64_t> numbers = draw_list(rng, in_range);
    size_t pattern = 0;
    Problem p = problem_of(rng, kCounting, numbers, pattern);
    for (size_t i = 0; i < numbers.size(); ++i) {
      p.think += fmt::format("{}{} is number {}", i ? "\n" : "", numbers[i], i + 1);
    }
    p.answer = std::to_string(numbers.size());
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_list(kCounting, question,
                      [](const std::vector<int64_t>& numbers, size_t) { return std::to_string(numbers.size()); });
  }
};

}  // namespace

std::vector<std::unique_ptr<Task>> list_tasks() {
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(std::make_unique<Sorting>());
  tasks.push_back(std::make_unique<Extreme>());
  tasks.push_back(std::make_unique<Reversal>());
  tasks.push_back(std::make_unique<Counting>());
  return tasks;
}

}  // namespace unha::corpus
