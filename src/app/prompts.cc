// SPDX-License-Identifier: Apache-2.0
#include "app/prompts.h"

#include "base/error.h"

namespace unha {

Prompts::Prompts(const Engine& engine, bool raw, const GenerateArgs& args)
    : engine_(engine), system_(args.system), think_(args.think) {
  engine.need_tokenizer();
  if (!raw) chat_ = pick_template(engine, args.chat_template, args.prose);
  if (!chat_ && !system_.empty()) {
    throw Error(ErrorCode::kUsage, "--system needs a chat template", raw ? "leave --raw out" : "the model has none");
  }
}

ChatPrompt Prompts::from_text(const std::string& text) const {
  return chat_ ? from_messages({{"user", text}}) : ChatPrompt{engine_.encode_raw(text), false};
}

ChatPrompt Prompts::from_messages(std::vector<Message> messages) const {
  if (!chat_) throw Error(ErrorCode::kInvalidArgument, "messages need a chat template", "give a prompt instead");
  bool own_system = !messages.empty() && messages.front().role == "system";
  if (!system_.empty() && !own_system) messages.insert(messages.begin(), {"system", system_});
  return chat_prompt(engine_, *chat_, messages, think_);
}

}  // namespace unha
