// SPDX-License-Identifier: Apache-2.0
// What all tasks share: reserving, drawing sets, and reading a reply.
#include "corpus/task.h"

#include <unordered_set>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/hash.h"

namespace unha::corpus {
namespace {

constexpr int kReservedOneIn = 50;
constexpr int64_t kTriesPerExample = 400;

std::vector<std::unique_ptr<Task>> all_tasks() {
  std::vector<std::unique_ptr<Task>> tasks;
  for (auto family : {arithmetic_tasks, list_tasks, small_tasks}) {
    for (std::unique_ptr<Task>& task : family()) tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace

std::optional<std::string> final_answer(std::string_view reply) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  std::string_view text = trim(reply);
  if (text.substr(0, kOpen.size()) == kOpen) {
    size_t close = text.find(kClose);
    if (close == std::string_view::npos) return std::nullopt;
    text = trim(text.substr(close + kClose.size()));
  }
  if (text.find(kOpen) != std::string_view::npos || text.find(kClose) != std::string_view::npos) return std::nullopt;
  return std::string(text);
}

std::string with_think(const std::string& think, const std::string& answer) {
  return think.empty() ? answer : "<think>\n" + think + "\n</think>\n" + answer;
}

bool Task::verify(std::string_view question, std::string_view reply) const {
  std::optional<std::string> right = solve(question);
  std::optional<std::string> given = final_answer(reply);
  return right && given && *right == *given;
}

bool is_reserved(const std::string& task, const std::string& key) {
  return text_hash(task + ":" + key) % kReservedOneIn == 0;
}

const std::vector<std::string>& task_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& task : all_tasks()) all.push_back(task->name());
    return all;
  }();
  return names;
}

std::unique_ptr<Task> make_task(const std::string& name) {
  for (std::unique_ptr<Task>& task : all_tasks()) {
    if (task->name() == name) return std::move(task);
  }
  throw_error(ErrorCode::kInvalidArgument, "task \"{}\" is unknown: expected one of {}", name,
              fmt::join(task_names(), ", "));
}

TaskSet generate_task(const Task& task, uint64_t seed, int64_t count, int64_t eval) {
  TaskSet set;
  // Streams of different tasks and splits must differ: the task's name and the split enter the seed.
  auto stream_seed = [&](const char* split) { return mix_hash(seed ^ text_hash(task.name() + "/" + split)); };
  auto draw_set = [&](const char* split, bool in_range, bool reserved, int64_t wanted, const auto& take) {
    std::unordered_set<std::string> seen;
    uint64_t split_seed = stream_seed(split);
    for (int64_t i = 0, misses = 0; i < wanted;) {
      Rng rng(split_seed, Purpose::kCorpus, static_cast<uint64_t>(i + misses));
      Problem problem = task.draw(rng, in_range);
      bool fits = !in_range || is_reserved(task.name(), problem.key) == reserved;
      if (fits && seen.insert(reserved || !in_range ? problem.key : problem.question).second) {
        take(problem);
        ++i;
      } else if (++misses > kTriesPerExample * (wanted + 10)) {
        return;
      }
    }
  };
  draw_set("train", true, false, count, [&](const Problem& p) {
    set.chats.push_back({{{"user", p.question}, {"assistant", with_think(p.think, p.answer)}}});
  });
  draw_set("test", true, true, eval, [&](const Problem& p) {
    set.eval.push_back({task.name(), p.question, {p.answer}, true, p.group, {}});
  });
  if (task.has_unseen_range()) {
    draw_set("unseen", false, true, eval, [&](const Problem& p) {
      set.eval.push_back({task.name(), p.question, {p.answer}, false, p.group, {}});
    });
  }
  return set;
}

}  // namespace unha::corpus
