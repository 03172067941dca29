// SPDX-License-Identifier: Apache-2.0
// Addition, subtraction and multiplication with column-by-column traces, and comparison digit by digit. The traces work
// on decimal digits, solve() on int64_t: two ways to the same number (and the tests have a third).
#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "corpus/phrase.h"
#include "corpus/task.h"

namespace unha::corpus {
namespace {

constexpr int kTrainedDigits = 4;  // five-digit operands are the unseen range

// A number of a length drawn evenly from [low, high] digits.
int64_t draw_number(Rng& rng, int low_digits, int high_digits) {
  auto digits = rng.between(low_digits, high_digits);
  int64_t ten = 1;
  for (int64_t i = 1; i < digits; ++i) ten *= 10;
  return rng.between(digits == 1 ? 0 : ten, ten * 10 - 1);
}

template <size_t N>
std::string_view pick(Rng& rng, const std::array<std::string_view, N>& items) {
  return items[rng.below(N)];
}

int64_t digits_of(int64_t number) { return static_cast<int64_t>(std::to_string(number).size()); }

std::string padded(int64_t number, int64_t width) {
  std::string text = std::to_string(number);
  return std::string(static_cast<size_t>(std::max<int64_t>(0, width - digits_of(number))), '0') + text;
}

std::string group_of(int64_t a, int64_t b) { return fmt::format("{} digits", std::max(digits_of(a), digits_of(b))); }

constexpr std::array<std::string_view, 10> kNames = {"Anna",  "Ben",   "Clara", "David", "Emma",
                                                     "Felix", "Grace", "Henry", "Ida",   "Jonas"};
constexpr std::array<std::string_view, 10> kThings = {"apples",  "books",  "coins", "marbles", "stamps",
                                                      "pencils", "shells", "cards", "stones",  "eggs"};

// Patterns bind {a} and {b}; story patterns {name} and {things} too.
Bindings bind(Rng& rng, int64_t a, int64_t b) {
  return {{"a", std::to_string(a)},
          {"b", std::to_string(b)},
          {"name", std::string(pick(rng, kNames))},
          {"things", std::string(pick(rng, kThings))}};
}

template <size_t N, class Answer>
std::optional<std::string> solve_two(const std::array<std::string_view, N>& patterns, std::string_view question,
                                     const Answer& answer) {
  for (size_t i = 0; i < N; ++i) {
    if (auto values = match(patterns[i], question)) {
      return answer(*parse_integer(values->at("a")), *parse_integer(values->at("b")), i);
    }
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 10> kAddition = {
    "What is {a} + {b}?",
    "What is {a} plus {b}?",
    "{a} + {b} = ?",
    "{a} + {b}",
    "Add {a} and {b}.",
    "Compute {a} + {b}.",
    "How much is {a} + {b}?",
    "What is the sum of {a} and {b}?",
    "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
    "There are {a} {things} in one box and {b} {things} in another box. How many {things} are there in all?"};

class Addition : public Task {
 public:
  std::string name() const override { return "addition"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a =
        in_range ? draw_number(rng, 1, kTrainedDigits) : draw_number(rng, kTrainedDigits + 1, kTrainedDigits + 1);
    int64_t b = draw_number(rng, 1, in_range ? kTrainedDigits : kTrainedDigits + 1);
    if (rng.below(2)) std::swap(a, b);
    Problem p;
    p.key = fmt::format("{}+{}", std::min(a, b), std::max(a, b));
    p.question = fill(pick(rng, kAddition), bind(rng, a, b));
    p.group = group_of(a, b);
    p.answer = trace(a, b, p.think);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_two(kAddition, question, [](int64_t a, int64_t b, size_t) { return std::to_string(a + b); });
  }

  // The columns from the right; each line ends with the digits of the sum so far.
  static std::string trace(int64_t a, int64_t b, std::string& think) {
    int64_t width = std::max(digits_of(a), digits_of(b));
    std::string x = padded(a, width);
    std::string y = padded(b, width);
    think = x + "+" + y;
    std::string done;
    int carry = 0;
    for (size_t i = x.size(); i-- > 0;) {
      int sum = (x[i] - '0') + (y[i] - '0') + carry;
      done.insert(0, 1, static_cast<char>('0' + sum % 10));
      think += fmt::format("\n{}+{}+{}={}, carry {}: {}", x[i], y[i], carry, sum, sum / 10, done);
      carry = sum / 10;
    }
    if (carry) done.insert(0, 1, '1');
    think += "\nresult: " + done;
    return done;
  }
};

constexpr std::array<std::string_view, 9> kSubtraction = {
    "What is {a} - {b}?",
    "What is {a} minus {b}?",
    "{a} - {b} = ?",
    "{a} - {b}",
    "Subtract {b} from {a}.",
    "Compute {a} - {b}.",
    "How much is {a} - {b}?",
    "What is the difference {a} - {b}?",
    "{name} has {a} {things} and gives away {b}. How many {things} are left?"};
constexpr size_t kSubtractionStory = 8;  // only where something is left

class Subtraction : public Task {
 public:
  std::string name() const override { return "subtraction"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a =
        in_range ? draw_number(rng, 1, kTrainedDigits) : draw_number(rng, kTrainedDigits + 1, kTrainedDigits + 1);
    int64_t b = draw_number(rng, 1, in_range ? kTrainedDigits : kTrainedDigits + 1);
    if (a < b && rng.below(4) != 0) std::swap(a, b);
    Problem p;
    p.key = fmt::format("{}-{}", a, b);
    size_t pattern = rng.below(a < b ? kSubtractionStory : kSubtraction.size());
    p.question = fill(kSubtraction[pattern], bind(rng, a, b));
    p.group = group_of(a, b);
    p.answer = trace(a, b, p.think);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_two(kSubtraction, question, [](int64_t a, int64_t b, size_t i) -> std::optional<std::string> {
      if (i == kSubtractionStory && a < b) return std::nullopt;
      return std::to_string(a - b);
    });
  }

  static std::string trace(int64_t a, int64_t b, std::string& think) {
    bool swapped = a < b;
    if (swapped) think = fmt::format("{} < {}, so the result is negative\n", a, b);
    if (swapped) std::swap(a, b);
    int64_t width = digits_of(a);
    std::string x = padded(a, width);
    std::string y = padded(b, width);
    think += x + "-" + y;
    std::string done;
    int borrow = 0;
    for (size_t i = x.size(); i-- > 0;) {
      int difference = (x[i] - '0') - (y[i] - '0') - borrow;
      int digit = difference < 0 ? difference + 10 : difference;
      done.insert(0, 1, static_cast<char>('0' + digit));
      think +=
          fmt::format("\n{}-{}-{}={}, borrow {}: {}", x[i], y[i], borrow, difference, difference < 0 ? 1 : 0, done);
      borrow = difference < 0 ? 1 : 0;
    }
    size_t first = std::min(done.find_first_not_of('0'), done.size() - 1);
    std::string answer = (swapped ? "-" : "") + done.substr(first);
    think += "\nresult: " + answer;
    return answer;
  }
};

constexpr std::array<std::string_view, 8> kMultiplication = {"What is {a} * {b}?",
                                                             "What is {a} times {b}?",
                                                             "{a} * {b} = ?",
                                                             "{a} * {b}",
                                                             "Multiply {a} by {b}.",
                                                             "Compute {a} * {b}.",
                                                             "What is the product of {a} and {b}?",
                                                             "How much is {a} times {b}?"};

class Multiplication : public Task {
 public:
  std::string name() const override { return "multiplication"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a = in_range ? draw_number(rng, 1, 3) : draw_number(rng, 4, 4);
    int64_t b = draw_number(rng, 1, a > 99 || !in_range ? 1 : 2);
    if (b > 9 && a < 10) std::swap(a, b);
    Problem p;
    p.key = fmt::format("{}*{}", a, b);
    p.question = fill(pick(rng, kMultiplication), bind(rng, a, b));
    p.group = fmt::format("{} by {} digits", digits_of(a), digits_of(b));
    p.answer = trace(a, b, p.think);
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_two(kMultiplication, question, [](int64_t a, int64_t b, size_t) -> std::optional<std::string> {
      int64_t product = 0;
      if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
      return std::to_string(product);
    });
  }

 private:
  // a times one digit, columns from the right.
  static int64_t by_digit(int64_t a, int digit, std::string& think) {
    std::string x = std::to_string(a);
    std::string done;
    int carry = 0;
    for (size_t i = x.size(); i-- > 0;) {
      int value = (x[i] - '0') * digit + carry;
      bool last = i == 0;
      std::string written = std::to_string(last ? value : value % 10);
      done.insert(0, written);
      think += fmt::format("{}*{}+{}={}, carry {}: {}\n", x[i], digit, carry, value, last ? 0 : value / 10, done);
      carry = value / 10;
    }
    return std::stoll(done);
  }
  static std::string trace(int64_t a, int64_t b, std::string& think) {
    if (b < 10) {
      int64_t product = by_digit(a, static_cast<int>(b), think);
      think += "result: " + std::to_string(product);
      return std::to_string(product);
    }
    int64_t ones = by_digit(a, static_cast<int>(b % 10), think);
    think += fmt::format("{}*{}={}\n", a, b % 10, ones);
    int64_t tens = by_digit(a, static_cast<int>(b / 10), think) * 10;
    think += fmt::format("{}*{}={}\n", a, b / 10 * 10, tens);
    std::string sum;
    std::string product = Addition::trace(ones, tens, sum);
    think += sum;
    return product;
  }
};

// The first half ask for the larger number, the second half for the smaller one.
constexpr std::array<std::string_view, 8> kComparison = {
    "Which is larger, {a} or {b}?",        "Which number is greater: {a} or {b}?",
    "What is the larger of {a} and {b}?",  "Which is bigger, {a} or {b}?",
    "Which is smaller, {a} or {b}?",       "Which number is less: {a} or {b}?",
    "What is the smaller of {a} and {b}?", "Which is the lower number, {a} or {b}?"};

class Comparison : public Task {
 public:
  std::string name() const override { return "comparison"; }
  Problem draw(Rng& rng, bool in_range) const override {
    int64_t a =
        in_range ? draw_number(rng, 1, kTrainedDigits) : draw_number(rng, kTrainedDigits + 1, kTrainedDigits + 1);
    int64_t b = a;
    // Half of the pairs share their length, half of those their first digits: else the length alone decides.
    if (rng.below(2)) {
      std::string text = std::to_string(a);
      size_t from = rng.below(text.size());
      for (size_t i = from; i < text.size(); ++i) {
        text[i] = static_cast<char>('0' + rng.between(i == 0 && text.size() > 1 ? 1 : 0, 9));
      }
      b = std::stoll(text);
    } else {
      b = draw_number(rng, 1, in_range ? kTrainedDigits : kTrainedDigits + 1);
    }
    if (a == b) b = a > 0 ? a - 1 : 1;
    size_t pattern = rng.below(kComparison.size());
    bool larger = pattern < kComparison.size() / 2;
    Problem p;
    p.key = fmt::format("{}?{}", std::min(a, b), std::max(a, b));
    p.question = fill(kComparison[pattern], bind(rng, a, b));
    p.group = group_of(a, b);
    p.think = trace(a, b);
    p.answer = std::to_string(larger ? std::max(a, b) : std::min(a, b));
    return p;
  }
  std::optional<std::string> solve(std::string_view question) const override {
    return solve_two(kComparison, question, [](int64_t a, int64_t b, size_t i) -> std::optional<std::string> {
      if (a == b) return std::nullopt;
      return std::to_string(i < kComparison.size() / 2 ? std::max(a, b) : std::min(a, b));
    });
  }

 private:
  static std::string trace(int64_t a, int64_t b) {
    std::string x = std::to_string(a);
    std::string y = std::to_string(b);
    std::string think = fmt::format("{} has {}, {} has {}\n", x, counted(x), y, counted(y));
    bool a_wins = x.size() > y.size();
    if (x.size() == y.size()) {
      for (size_t i = 0; i < x.size(); ++i) {
        think += fmt::format("{} {} {}\n", x[i], x[i] == y[i] ? "=" : x[i] < y[i] ? "<" : ">", y[i]);
        if (x[i] == y[i]) continue;
        a_wins = x[i] > y[i];
        break;
      }
    }
    return think + (a_wins ? x + " > " + y : x + " < " + y);
  }
  static std::string counted(const std::string& number) {
    return number.size() == 1 ? "1 digit" : fmt::format("{} digits", number.size());
  }
};

}  // namespace

std::vector<std::unique_ptr<Task>> arithmetic_tasks() {
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(std::make_unique<Addition>());
  tasks.push_back(std::make_unique<Subtraction>());
  tasks.push_back(std::make_unique<Multiplication>());
  tasks.push_back(std::make_unique<Comparison>());
  return tasks;
}

}  // namespace unha::corpus
