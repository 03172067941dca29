// SPDX-License-Identifier: Apache-2.0
// DeepSeek V2: turns in words, and V2.5, which gave them tokens. Messages are written in their order, system messages
// too.
#include "base/error.h"
#include "text/templates/deepseek_tokens.h"
#include "text/templates/family.h"

namespace unha {

namespace {

using namespace deepseek;

void render_v2(const TemplateInput& input, Pieces& out) {
  out.control(kBos);
  for (const Message& message : input.messages) {
    if (message.role == "user") {
      out.text("User: ");
      out.text(text_of(message));
      out.text("\n\n");
    } else if (message.role == "assistant") {
      out.text("Assistant: ");
      out.text(text_of(message));
      out.control(kEos);
    } else if (message.role == "system") {
      out.text(text_of(message));
      out.text("\n\n");
    }  // the vendor's template passes over other roles
  }
  if (input.options.add_generation_prompt) out.text("Assistant:");
}

// The vendor's file was not found; its model card shows plain turns behind one system message, so that is what is done.
void render_v25(const TemplateInput& input, Pieces& out) {
  out.control(kBos);
  for (size_t i = 0; i < input.messages.size(); ++i) {
    const Message& message = input.messages[i];
    if (message.role == "system" && i == 0) {
      out.text(text_of(message));
    } else if (message.role == "user") {
      out.control(kUser);
      out.text(text_of(message));
    } else if (message.role == "assistant" && message.tool_calls.empty()) {
      out.control(kAssistant);
      out.text(text_of(message));
      out.control(kEos);
    } else {
      throw_error(ErrorCode::kInvalidArgument,
                  "message {}: only user and assistant messages without tool calls behind one system message are known "
                  "of DeepSeek V2.5's template; found role \"{}\"",
                  i, message.role);
    }
  }
  if (input.options.add_generation_prompt) out.control(kAssistant);
}

}  // namespace

std::vector<TemplateFamily> deepseek_v2_templates() {
  std::string eos(kEos);
  return {{"deepseek-v2-chat", "DeepSeek-V2-Chat, V2-Lite-Chat, Coder-V2-Instruct", {eos}, {}, render_v2},
          {"deepseek-v2.5", "DeepSeek-V2.5; from its model card, plain turns only", {eos}, {}, render_v25}};
}

}  // namespace unha
