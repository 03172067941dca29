// SPDX-License-Identifier: Apache-2.0
// Small closed tasks: the next and the previous number, even or odd, days of the week.
#include <array>
#include <string>

#include "base/error.h"
#include "corpus/phrase.h"
#include "corpus/task.h"

namespace unha::corpus {
namespace {

constexpr int64_t kTrainedBelow = 10000;
constexpr int64_t kUnseenBelow = 100000;

int64_t draw_number(Rng& rng, bool in_range) {
  if (!in_range) return rng.between(kTrainedBelow, kUnseenBelow - 1);
  int64_t top = 10;
  for (uint64_t i = rng.below(4); i > 0; --i) top *= 10;
  return rng.between(0, top - 1);
}

// The first half ask for the next number, the second half for the one before.
constexpr std::array<std::string_view, 6> kNeighbour = {
    "What number comes after {a}?",  "What is the next number after {a}?",  "Which number follows {a}?",
    "What number comes before {a}?", "What is the number just before {a}?", "Which number precedes {a}?"};

class Neighbour : public Task {
 public:
  std::string name() const override { return "neighbour"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a = draw_number(rng, in_range);
    size_t pattern = rng.below(kNeighbour.size());
    bool next = pattern < kNeighbour.size() / 2;
    if (!next && a == 0) a = 1;
    Problem p;
    p.key = std::to_string(a);
    p.question = fill(kNeighbour[pattern], {{"a", p.key}});
    p.group = fmt::format("{} digits", p.key.size());
    p.answer = std::to_string(next ? a + 1 : a - 1);
    p.think = fmt::format("{} {} 1 = {}", a, next ? "+" : "-", p.answer);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    for (size_t i = 0; i < kNeighbour.size(); ++i) {
      if (auto values = match(kNeighbour[i], question)) {
        return std::to_string(*parse_integer(values->at("a")) + (i < kNeighbour.size() / 2 ? 1 : -1));
      }
    }
    return std::nullopt;
  }
};

constexpr std::array<std::string_view, 4> kParity = {"Is {a} even or odd?", "Is the number {a} even or odd?",
                                                     "Tell me whether {a} is even or odd.", "{a}: even or odd?"};

class Parity : public Task {
 public:
  std::string name() const override { return "parity"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a = draw_number(rng, in_range);
    Problem p;
    p.key = std::to_string(a);
    p.question = fill(kParity[rng.below(kParity.size())], {{"a", p.key}});
    p.group = fmt::format("{} digits", p.key.size());
    char last = p.key.back();
    p.answer = (last - '0') % 2 == 0 ? "even" : "odd";
    p.think = fmt::format("the last digit of {} is {}, which is {}", p.key, last, p.answer);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    for (std::string_view pattern : kParity) {
      if (auto values = match(pattern, question)) return *parse_integer(values->at("a")) % 2 == 0 ? "even" : "odd";
    }
    return std::nullopt;
  }
};

constexpr std::array<std::string_view, 7> kDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                   "Friday", "Saturday", "Sunday"};
constexpr std::array<std::string_view, 5> kWeekday = {
    "What day comes {a} days after {day}?", "Today is {day}. What day is it in {a} days?",
    "If today is {day}, what day will it be in {a} days?", "Which day is {a} days after {day}?",
    "What day comes {a} days before {day}?"};
constexpr size_t kWeekdayBefore = 4;

class Weekday : public Task {
 public:
  std::string name() const override { return "weekday"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t n = in_range ? rng.between(2, 14) : rng.between(15, 30);
    size_t day = rng.below(kDays.size());
    size_t pattern = rng.below(kWeekday.size());
    int step = pattern == kWeekdayBefore ? 6 : 1;
    Problem p;
    p.key = fmt::format("{} {} {}", kDays[day], step == 1 ? "+" : "-", n);
    p.question = fill(kWeekday[pattern], {{"a", std::to_string(n)}, {"day", std::string(kDays[day])}});
    p.group = fmt::format("{} days", n <= 7 ? "up to 7" : n <= 14 ? "8 to 14" : "15 to 30");
    int64_t rest = n % 7;
    p.think = fmt::format("{} days are {} weeks and {} days", n, n / 7, rest);
    for (int64_t i = 1; i <= rest; ++i) {
      day = (day + static_cast<size_t>(step)) % kDays.size();
      p.think += fmt::format("\n{}: {}", i, kDays[day]);
    }
    p.answer = std::string(kDays[day]);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    for (size_t i = 0; i < kWeekday.size(); ++i) {
      auto values = match(kWeekday[i], question);
      if (!values) continue;
      int64_t n = *parse_integer(values->at("a"));
      if (n < 0) return std::nullopt;
      for (int64_t day = 0; day < 7; ++day) {
        if (kDays[static_cast<size_t>(day)] != values->at("day")) continue;
        int64_t shift = i == kWeekdayBefore ? 7 - n % 7 : n % 7;
        return std::string(kDays[static_cast<size_t>((day + shift) % 7)]);
      }
    }
    return std::nullopt;
  }
};

}  // namespace

std::vector<std::unique_ptr<Task>> small_tasks() {
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(std::make_unique<Neighbour>());
  tasks.push_back(std::make_unique<Parity>());
  tasks.push_back(std::make_unique<Weekday>());
  return tasks;
}

}  // namespace unha::corpus
