// SPDX-License-Identifier: Apache-2.0
// From what a user gives, a text or messages, to the ids that a model reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/generate_options.h"
#include "app/template_options.h"

namespace unha {

class Prompts {
 public:
  // raw: a text is continued as it is, without a chat template. Error(kUsage) if there is a system message and no
  // template that could hold it; Error(kInvalidArgument) if the model has no tokenizer; pick_template()'s.
  Prompts(const Engine& engine, bool raw, const GenerateArgs& args);

  bool chats() const { return chat_.has_value(); }  // texts become messages
  // The text as the user's only message, or as it is.
  ChatPrompt from_text(const std::string& text) const;
  // The system message goes first unless they bring their own. Error(kInvalidArgument) without a template.
  ChatPrompt from_messages(std::vector<Message> messages) const;
  // All ids that end a reply.
  std::vector<int32_t> end_ids() const { return unha::end_ids(engine_, chat_); }

 private:
  const Engine& engine_;
  std::optional<ChatTemplate> chat_;
  std::string system_, think_;
};

}  // namespace unha
