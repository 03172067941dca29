// SPDX-License-Identifier: Apache-2.0
// Generated reasoning: tasks with questions in several wordings, a <think> trace, and exactly one right answer.
//
// Operands are reserved before anything is drawn: a problem whose key hashes to 0 mod 50 is a test problem and never
// trained on, in any wording; and each task keeps a whole range (more digits, longer lists) unseen.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "corpus/chat.h"

namespace unha::corpus {

struct Problem {
  std::string key;  // the operands, without the wording; order normalised where it does not matter
  std::string question;
  std::string think;  // lines of the trace, without the tags
  std::string answer;
  std::string group;  // "3 digits"
};

class Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;
  // A problem within the range of training, or from the unseen range.
  virtual Problem draw(Rng& rng, bool in_range) const = 0;
  // The answer, worked out from the question's words alone; nothing if this task does not ask that.
  virtual std::optional<std::string> solve(std::string_view question) const = 0;
  virtual bool has_unseen_range() const { return true; }

  // The reply's final answer is exactly the right one.
  bool verify(std::string_view question, std::string_view reply) const;
};

// What counts as the answer of a reply: the text after its only <think>...</think> (or all of it, if there is none),
// without white space around it. Nothing if the block does not close, does not come first, or comes twice.
std::optional<std::string> final_answer(std::string_view reply);
std::string with_think(const std::string& think, const std::string& answer);

bool is_reserved(const std::string& task, const std::string& key);

std::unique_ptr<Task> make_task(const std::string& name);  // Error(kInvalidArgument) lists the tasks
const std::vector<std::string>& task_names();

struct TaskSet {
  std::vector<Chat> chats;
  std::vector<EvalItem> eval;
};
// `count` different training conversations, `eval` test problems in range and as many unseen ones; fewer where the task
// has fewer. The example number is the index of its random stream, so a longer set begins with the shorter one.
TaskSet generate_task(const Task& task, uint64_t seed, int64_t count, int64_t eval);

// The families, each in its own file.
std::vector<std::unique_ptr<Task>> arithmetic_tasks();
std::vector<std::unique_ptr<Task>> list_tasks();
std::vector<std::unique_ptr<Task>> small_tasks();

}  // namespace unha::corpus
