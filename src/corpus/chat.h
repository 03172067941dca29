// SPDX-License-Identifier: Apache-2.0
// What generators make: conversations to train on, and questions with one exact answer to test with.
#pragma once

#include <string>
#include <vector>

#include "text/chat_template.h"

namespace unha::corpus {

struct Chat {
  std::vector<Message> messages;
};

// One row of eval/*.jsonl. The reply is right if its final answer (task.h) is one of `accepted`.
struct EvalItem {
  std::string task;
  std::string question;
  std::vector<std::string> accepted;  // the first is the reference
  bool in_range = true;               // drawn from the ranges (or words) of training
  std::string group;                  // a finer cell for reports: "3 digits", "held-out word"
  std::vector<std::string> choices;   // for tests by log-probability; one of them is accepted[0]
};

}  // namespace unha::corpus
